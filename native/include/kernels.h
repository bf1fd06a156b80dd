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

/* ---- key switching and division by primes (switch.c): compositions of the kernels above, of which
 *      ckks/kernels/composed.py is the definition, one target modulus at a time ------------------------------- */

/* Rows at data + part * p + batch * b + limb * i, all in words; data may be NULL where that is said. */
typedef struct {
    const uint64_t *data;
    ptrdiff_t part, batch, limb;
} operand;

typedef struct {
    uint64_t *data;
    ptrdiff_t part, batch, limb;
} result;

/* The form of the rows in `work` and `scratch` that serves these limbs and conversions: pass it on, unread. */
int ckks_lift_form(size_t limbs, modulus *const *m, size_t count, conversion *const *c);

/* How many words apart the rows of `work` and `scratch` are: somewhat more than n. */
size_t ckks_row_words(size_t n);

/* Prepare values for lifting through c: x (c's source limbs, in NTT form, times factor unless its data is NULL), of
 * `parts` by `batch` entries, to work, a + 1 rows for an entry. m[i]: the source moduli, with transform tables. */
void ckks_split(int form, const conversion *c, modulus *const *m, size_t parts, size_t batch, const operand *x,
                const operand *factor, uint64_t *work, ptrdiff_t work_part, ptrdiff_t work_batch);

/* Division by the source primes of c: work as ckks_split left it; target j of c is limb `first` + j; weights[j] is the
 * inverse of their product there. A result is permuted, out[k] = value[index[k]], unless index is NULL. */
typedef struct {
    const conversion *c;
    const uint64_t *work;
    ptrdiff_t part, batch;
    const uint64_t *weights;
    size_t first;
    const int64_t *index;
} division;

/* out = weights (x - lifted remainder) for limbs start to stop - 1 of x; limb `first` is the first of out.
 * scratch: 3 rows. */
void ckks_divide(int form, modulus *const *m, const division *d, size_t start, size_t stop, size_t parts, size_t batch,
                 const operand *x, uint64_t *scratch, const result *out);

/* The joint basis (p_1..p_k, q_0..q_l) of a gadget: `limbs` moduli, the first `special` of them special; digit d owns
 * the limbs bounds[d] to bounds[d + 1] - 1, and c[d] converts from them to all others, in their order. */
typedef struct {
    int form;
    modulus *const *m;
    size_t limbs, special, digits;
    const size_t *bounds;
    conversion *const *c;
} gadget;

/*
 * What is switched. The digits: those of x (limbs q_0..q_l, one part), or of x factor, with `work` holding for each
 * entry of the batch what ckks_split made of its digits, one after the other; or, when digits.data is not NULL, rows
 * ready-made: its `part` is from digit to digit, over the joint basis. key: `batch` is from digit to digit.
 * Added to the sums for limbs q_i: weights[i] times the addend (addend_parts, 1 or 2), or the first two
 * parts of the product of left and right, or nothing when both have NULL for data.
 */
typedef struct {
    operand x, factor, digits, key, addend, left, right;
    const uint64_t *work;
    ptrdiff_t work_batch;
    size_t addend_parts;
    const uint64_t *weights;
} switching;

/* The two sums over the digits for limbs start to stop - 1 of the joint basis, divided unless d is NULL; the first
 * limb of out is then limb `start`. scratch: 4 rows. */
void ckks_switch(const gadget *g, const switching *s, size_t start, size_t stop, size_t batch, uint64_t *scratch,
                 const division *d, const result *out);

#endif
