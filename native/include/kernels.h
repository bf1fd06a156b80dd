/*
 * The C interface of the compiled kernels. build.py reads this file into cffi, so a signature is written once:
 * keep it to declarations that cffi can parse (lines that start with '#' are dropped there).
 *
 * Arrays hold 64-bit words. An operand called x has rows of n (or `count`) consecutive words; row (b, i) of
 * batch b and limb i starts at x + b * x_batch + i * x_limb, the strides counted in words, of any sign, and zero
 * where a read-only operand is broadcast. Operands with terms add k * x_term.
 *
 * Ranges: every residue of limb i lies in [0, q_i) on entry and on return. Lazy ranges never leave a kernel.
 * `out` may be the same rows as an input (same start, same strides), never a partly overlapping set; the two
 * gathers take an `out` apart from x. Nothing here keeps state between calls: all functions are re-entrant.
 */
#ifndef CKKS_KERNELS_H
#define CKKS_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/* ---- variants and the machine (dispatch.c) --------------------------------------------------------------- */

/* Variants, weakest first: 0 portable, 1 avx2 (with FMA), 2 ifma (AVX-512 F, DQ, VL, IFMA; includes avx2). */
const char *ckks_variant_name(int variant);  /* NULL beyond the last */
int ckks_variant_compiled(int variant);      /* 0 or 1 */
int ckks_variant_runnable(int variant);      /* 0 or 1: compiled, and the CPU and the OS support it */
const char *ckks_feature_name(int feature);  /* "avx2", ..., NULL beyond the last */
int ckks_feature_present(int feature);       /* 0 or 1: found in the CPU, its registers saved by the OS */
const char *ckks_compiler(void);             /* name and version of the compiler */
int ckks_checking(void);                     /* 1 when built with CKKS_CHECK: range contracts are asserted */

/* ---- tables ---------------------------------------------------------------------------------------------- */

/* One odd modulus 3 <= q < 2^61 with all its constants, and which row kernels serve it in `variant`. */
typedef struct modulus modulus;

/* n: row length, a power of two, 8 <= n <= 2^17. psi: primitive 2n-th root of unity modulo the prime q, or 0 to
 * make no transform tables. Returns NULL when out of memory or when an argument breaks this contract. */
modulus *ckks_modulus_new(int variant, size_t n, uint64_t q, uint64_t psi);
void ckks_modulus_free(modulus *m);
const char *ckks_modulus_rows(const modulus *m);  /* which row kernels serve it: "portable", "avx2", ... */

/* Base conversion from the product D of d_0..d_{a-1} to p_0..p_{b-1}; the formula is in portable/convert.c.
 * punctured_inverse[i] = [(D/d_i)^-1] mod d_i, punctured[j a + i] = [D/d_i] mod p_j, product[j] = [D] mod p_j,
 * reciprocal[i] = floor(2^(51 + bits(d_i)) / d_i). 1 <= a <= 1024. The tables are copied. NULL as above. */
typedef struct conversion conversion;
conversion *ckks_conversion_new(int variant, size_t a, size_t b, const uint64_t *source, const uint64_t *target,
                                const uint64_t *punctured_inverse, const uint64_t *punctured,
                                const uint64_t *product, const uint64_t *reciprocal, uint64_t offset);
void ckks_conversion_free(conversion *c);

/* ---- kernels: the definitions are those of ckks/kernels/reference.py --------------------------------------- */

/* Negacyclic NTT, coefficients to bit-reversed values ([LN16, Alg. 1]), and back ([LN16, Alg. 2], 1/n included). */
void ckks_ntt(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_intt(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
               ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out = -x */
void ckks_neg(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out = x + y, x - y, x y */
void ckks_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_sub(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_mul(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out = w x, w x + y, w (x - y), with w[i] in [0, q_i) for limb i */
void ckks_mul_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                     ptrdiff_t x_limb, const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_mul_scalar_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                         ptrdiff_t x_limb, const uint64_t *w, const uint64_t *y, ptrdiff_t y_batch,
                         ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_sub_mul_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                         ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb,
                         const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out = sum over k < terms of x[k] y[k]; 1 <= terms */
void ckks_dot(modulus *const *m, size_t terms, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_term,
              ptrdiff_t x_batch, ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_term, ptrdiff_t y_batch,
              ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out = sum over k < terms of w[k w_term + i w_limb] x[k] for limb i; 1 <= terms */
void ckks_weighted_sum(modulus *const *m, size_t terms, size_t batch, size_t limbs, const uint64_t *x,
                       ptrdiff_t x_term, ptrdiff_t x_batch, ptrdiff_t x_limb, const uint64_t *w,
                       ptrdiff_t w_term, ptrdiff_t w_limb, uint64_t *out, ptrdiff_t out_batch,
                       ptrdiff_t out_limb);

/* Base conversion: x has a limbs modulo the source, out b limbs modulo the target, rows of `count` words. */
void ckks_convert(const conversion *c, size_t batch, size_t count, const uint64_t *x, ptrdiff_t x_batch,
                  ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out[j] = x[index[j] mod n], n a power of two. */
void ckks_gather(size_t batch, size_t limbs, size_t n, const uint64_t *x, ptrdiff_t x_batch, ptrdiff_t x_limb,
                 const int64_t *index, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* out[j] = x[index[j] mod n], negated where index[j] div n is odd. */
void ckks_gather_signed(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                        ptrdiff_t x_limb, const int64_t *index, uint64_t *out, ptrdiff_t out_batch,
                        ptrdiff_t out_limb);

/* Residues of high 2^52 + low; both are (batch, n) in (-2^62, 2^62), high may be NULL. */
void ckks_signed(modulus *const *m, size_t batch, size_t limbs, const int64_t *low, ptrdiff_t low_batch,
                 const int64_t *high, ptrdiff_t high_batch, uint64_t *out, ptrdiff_t out_batch,
                 ptrdiff_t out_limb);

/* out = x y + z, -x y + z */
void ckks_mul_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                  ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, const uint64_t *z,
                  ptrdiff_t z_batch, ptrdiff_t z_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);
void ckks_neg_mul_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                      ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, const uint64_t *z,
                      ptrdiff_t z_batch, ptrdiff_t z_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* ---- sampling, rounding, packing: see portable/sampling.c and portable/pack.c ------------------------------ */

/* Residues of x in [-128, 127], x (batch, n); any modulus. */
void ckks_small(modulus *const *m, size_t batch, size_t limbs, const int8_t *x, ptrdiff_t x_batch, uint64_t *out,
                ptrdiff_t out_batch, ptrdiff_t out_limb);

/* Residues of the integers nearest to the double scale x, halves to even; x (batch, n), |scale x| < 2^62. */
void ckks_rounded(modulus *const *m, size_t batch, size_t limbs, const double *x, ptrdiff_t x_batch, double scale,
                  uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);

/* Public data only: copies x[j] mod 2^bits(q), 3 <= q < 2^61, where that is below q, in order, until x is used up or
 * `room` words are written; returns how many were. Nothing is written beyond out[room - 1]. */
size_t ckks_take_below(int variant, uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out);

/* c - 1 for the candidates c of two bits of x, lowest first, but 3; ends and returns as ckks_take_below. Which
 * candidates are passed over is public, their values are not. */
size_t ckks_take_ternary(size_t count, const uint8_t *x, size_t room, int8_t *out);

/* out = popcount(bits 0..20 of x) - popcount(bits 21..41 of x) in [-21, 21]. */
void ckks_binomial(int variant, size_t count, const uint64_t *x, int8_t *out);

/* Rows as bits(q_i) bits a word, lowest bit first, padded to whole bytes; the rows of a batch entry one after
 * another at out + b out_batch (bytes). ckks_unpack returns 1 when every word it wrote is below its modulus, else 0. */
void ckks_pack(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch, ptrdiff_t x_limb,
               uint8_t *out, ptrdiff_t out_batch);
int ckks_unpack(modulus *const *m, size_t batch, size_t limbs, const uint8_t *x, ptrdiff_t x_batch, uint64_t *out,
                ptrdiff_t out_batch, ptrdiff_t out_limb);

#endif
