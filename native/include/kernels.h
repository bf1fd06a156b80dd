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

/* out = x + w, w x, w x + y, w (x - y), with w[i] in [0, q_i) for limb i */
void ckks_add_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                     ptrdiff_t x_limb, const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb);
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

/* out[o] = sum over k < terms of y[o][k] x[k] for o < outputs, as ckks_dot; rows of y have n / repeat words, each of which
 * stands for `repeat` equal ones side by side; repeat is a power of two. space: ckks_combine_space words, 64-byte
 * aligned. */
size_t ckks_combine_space(size_t terms);
void ckks_combine(modulus *const *m, size_t outputs, size_t terms, size_t batch, size_t limbs, const uint64_t *x,
                  ptrdiff_t x_term, ptrdiff_t x_batch, ptrdiff_t x_limb, size_t repeat, const uint64_t *y,
                  ptrdiff_t y_output, ptrdiff_t y_term, ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_output,
                  ptrdiff_t out_batch, ptrdiff_t out_limb, uint64_t *space);

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

/* The joint basis (p_1..p_k, q_0..q_l) of a gadget: `limbs` moduli, the first `special` of them special; digit d owns
 * the limbs bounds[d] to bounds[d + 1] - 1, and c[d] converts from them to all others, in their order.
 * weights[i] = p_1 .. p_k mod q_i. form: from ckks_lift_form for all these moduli and conversions, and the quotient's. */
typedef struct {
    int form;
    modulus *const *m;
    size_t limbs, special, digits;
    const size_t *bounds;
    conversion *const *c;
    const uint64_t *weights;
} gadget;

/* Division by the `first` first and `last` last of some limbs: `dropped` lists these moduli, c converts from them to
 * those that are kept, weights[i] is the inverse of their product modulo kept limb i. */
typedef struct {
    int form;
    modulus *const *m;
    size_t limbs, first, last;
    modulus *const *dropped;
    const conversion *c;
    const uint64_t *weights;
} quotient;

/*
 * What is switched and divided. With a gadget: two parts come out, from the digits of x (limbs q_0..q_l, one part), or
 * of x times factor when that has data, or from digits ready-made over the joint basis (their `part` is from digit to
 * digit). keys[0]: `batch` is from digit to digit. Added for limbs q_i: weights[i] times the addend (addend_parts: 0, 1
 * or 2), or times the first two parts of the product of left and right, when those have data.
 * With `terms` > 0 this is done for each of as many keys, and the sums of term t are permuted by indices[t] (unless that
 * is NULL), multiplied by factors[t] (over the joint basis, unless its data is NULL) and added up before the division. A
 * key without data stands for the one that switches nothing: its sums are weights[i] times addend and x, two parts.
 * Without a gadget x itself, of as many parts as come out, is divided.
 * out has the kept limbs only; they are permuted, out[k] = value[index[k]], unless index is NULL.
 * Undivided (ckks_lift) the sums of term t, its first part with `joint` (over the joint basis, one part, unless its data
 * is NULL) added, are permuted and become parts 2t and 2t + 1 of out, over the joint basis.
 * space: ckks_switch_space words, on a 64-byte boundary.
 */
typedef struct {
    operand x, factor, digits, addend, left, right, joint;
    size_t addend_parts, terms;
    const operand *keys, *factors;
    const int64_t *const *indices;
    const int64_t *index;
    result out;
    size_t parts, batch, threads;
    uint64_t *space;
} job;

/* (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1) for operands of two parts. */
void ckks_tensor(modulus *const *m, size_t batch, size_t limbs, const operand *x, const operand *y, const result *out);

/* The form of the rows in `space` that serves these limbs and conversions. */
int ckks_lift_form(size_t limbs, modulus *const *m, size_t count, conversion *const *c);

/* How many words of space a job needs; g may be NULL. */
size_t ckks_switch_space(const gadget *g, const quotient *q, const job *j);

/* A whole job; and the digits of x alone, of a job whose out has a part for each digit, over the joint basis. */
void ckks_switch(const gadget *g, const quotient *q, const job *j);
void ckks_decompose(const gadget *g, const quotient *q, const job *j);

/* The sums of each of `terms` terms, undivided; parts is 0. */
void ckks_lift(const gadget *g, const quotient *q, const job *j);

/* out[o] = sum over k < terms of x[k] times the transform of the integers y[o][k], both parts, plus what out[o] held if
 * `added`. The terms are the batch axis of x, the outputs that of out; rows of y are n integers, as far apart as the strides
 * say. space: ckks_small_space words, on a 64-byte boundary. 1 <= terms <= 1024 */
size_t ckks_small_space(size_t n);
void ckks_small_products(modulus *const *m, size_t outputs, size_t terms, size_t limbs, const operand *x, const int32_t *y,
                         ptrdiff_t y_output, ptrdiff_t y_term, int added, const result *out, uint64_t *space);

/*
 * One of these by several threads, each of which calls this once, with a number of its own below job->threads, and with the
 * same CKKS_PROGRESS words, zeros at first. It returns when all of the job is done, whether the others come or not: who
 * comes late finds nothing left.
 */
enum { CKKS_SWITCH, CKKS_DECOMPOSE, CKKS_LIFT };
enum { CKKS_PROGRESS = 8 };
void ckks_share(const gadget *g, const quotient *q, const job *j, int what, uint64_t *progress, size_t thread);

#endif
