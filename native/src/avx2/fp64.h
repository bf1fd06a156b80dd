/*
 * Residues as doubles, four to a vector, for odd q < 2^50: products modulo q by fused multiply-add, after FLINT's
 * fft_small and [vdHLQ16]. Every value named here is an exact integer unless said otherwise.
 *
 * Rounding to nearest, p = 53 bits: fl(x) = x (1 + e), |e| <= u = 2^-53. C = 1.5 2^52: for |x| <= 2^51,
 * fl(x + C) - C is x rounded to an integer, since the doubles in [2^52, 2^53] are the integers.
 */
#ifndef CKKS_FP64_H
#define CKKS_FP64_H

#include "avx2/avx2.h"

#if CKKS_X86
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma")))

typedef __m256d vec;
typedef __m256i ivec;

/* The constants of one q, in registers. */
typedef struct {
    vec q, q_inverse, round;
} field;

AVX2_INLINE field field_of(const modulus *m) {
    return (field){_mm256_set1_pd(m->fp), _mm256_set1_pd(m->fp_inverse), _mm256_set1_pd(6755399441055744.0)};
}

#ifdef CKKS_CHECK
/* Asserts |v| <= bound in every lane. */
AVX2_INLINE void check_bound(vec v, double bound) {
    double lane[4];
    _mm256_storeu_pd(lane, v);
    for (int i = 0; i < 4; i++) {
        CHECK(lane[i] <= bound && lane[i] >= -bound);
    }
}
#else
#define check_bound(v, bound) ((void)0)
#endif

/* ---- words to doubles and back ----------------------------------------------------------------------------- */

/* Words in [0, 2^52): their bits under the exponent of 2^52 are the double 2^52 + x. */
AVX2_INLINE vec from_words(ivec x) {
    const ivec exponent = _mm256_set1_epi64x(0x4330000000000000);
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(x, exponent)), _mm256_castsi256_pd(exponent));
}

AVX2_INLINE vec load_words(const uint64_t *x) {
    return from_words(_mm256_loadu_si256((const ivec *)x));
}

/* One word in every lane. By way of int64_t: compilers convert unsigned words with a branch on the top bit. */
AVX2_INLINE vec word_everywhere(uint64_t x) {
    return _mm256_set1_pd((double)(int64_t)x);
}

/* Signed integers |v| <= 2^51 as two's complement words: C + v holds v in its low bits. */
AVX2_INLINE ivec to_integers(vec v) {
    const vec c = _mm256_set1_pd(6755399441055744.0);
    check_bound(v, 2251799813685248.0);
    return _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(v, c)), _mm256_castpd_si256(c));
}

/* v in (-q, q) -> words in [0, q). Integers, since a double -0 would pass as negative. */
AVX2_INLINE void store_words(uint64_t *out, vec v, const field *f) {
    ivec x = to_integers(v);
    vec raised = _mm256_castsi256_pd(_mm256_add_epi64(x, to_integers(f->q)));
    _mm256_storeu_pd((double *)out, _mm256_blendv_pd(_mm256_castsi256_pd(x), raised, _mm256_castsi256_pd(x)));
}

/* ---- modulo q ---------------------------------------------------------------------------------------------- */

/*
 * v mod q, |result| <= q/2 + 1, for |v| <= 2^53.
 * q_inverse = (1/q)(1 + e), and fl(v q_inverse + C) rounds once, to an integer k, provided |v/q| <= 2^51 (callers:
 * |v| <= 8 q^2 for the small q, where 2^53 would not do). |k - v/q| <= 1/2 + |v/q| u, so
 * |v - k q| <= q/2 + |v| u <= q/2 + 1; it is an integer below 2^53, so the last fma is exact.
 */
AVX2_INLINE vec reduce(vec v, const field *f) {
    check_bound(v, 0x1p53);
    check_bound(_mm256_div_pd(v, f->q), 0x1p51);
    vec k = _mm256_sub_pd(_mm256_fmadd_pd(v, f->q_inverse, f->round), f->round);
    return _mm256_fnmadd_pd(k, f->q, v);
}

/*
 * a b mod q for |a b| < 2^51 q, as with |a| <= 2^52 and |b| < q/2, or |a| < q and |b| < q:
 * |result| <= q/2 + |a b| 2^-52 (1 + u).
 *
 * h = fl(a b), l = a b - h exactly (an fma; it is an integer, |l| <= |h| u <= 2^48); k is h q_inverse rounded by C:
 * |h q_inverse - a b/q| <= (2 u + u^2) |a b/q|, below 2^51 in size up to a relative 2^-52, which the ends of C's range
 * [2^52, 2^53] allow for. So |k - a b/q| <= 1/2 + |a b/q| 2^-52 (1 + u), and a b - k q = (h - k q) + l obeys the bound.
 * h - k q is an integer within |result| + |l| < 2^53: exact, and so is the sum.
 *
 * Beyond |a b| < 2^51 q the addition of C would round to even integers, and the residue be WRONG, on few inputs.
 */
AVX2_INLINE vec mul(vec a, vec b, const field *f) {
    vec h = _mm256_mul_pd(a, b);
    check_bound(_mm256_div_pd(h, f->q), 0x1p51);
    vec l = _mm256_fmsub_pd(a, b, h);
    vec k = _mm256_sub_pd(_mm256_fmadd_pd(h, f->q_inverse, f->round), f->round);
    return _mm256_add_pd(_mm256_fnmadd_pd(k, f->q, h), l);
}

/*
 * A factor w that serves many products: w, and w q_inverse rounded once more. a times the second stands in for
 * h q_inverse above with the same error, 2 u + u^2 at most, and without waiting for h.
 */
typedef struct {
    vec w, over_q;
} factor;

AVX2_INLINE factor factor_of(vec w, const field *f) {
    return (factor){w, _mm256_mul_pd(w, f->q_inverse)};
}

/* The two summands of mul(a, w): h - k q and l, |l| <= 2^48. */
typedef struct {
    vec rest, l;
} product;

AVX2_INLINE product multiply(vec a, factor w, const field *f) {
    vec h = _mm256_mul_pd(a, w.w);
    check_bound(_mm256_div_pd(h, f->q), 0x1p51);
    vec k = _mm256_sub_pd(_mm256_fmadd_pd(a, w.over_q, f->round), f->round);
    vec l = _mm256_fmsub_pd(a, w.w, h);
    return (product){_mm256_fnmadd_pd(k, f->q, h), l};
}

AVX2_INLINE vec mul_factor(vec a, factor w, const field *f) {
    product p = multiply(a, w, f);
    return _mm256_add_pd(p.rest, p.l);
}

/* x + p and x - p: one instruction more than with the sum of p, but l is there early, so the way is shorter. */
AVX2_INLINE vec plus(vec x, product p) {
    return _mm256_add_pd(_mm256_add_pd(x, p.l), p.rest);
}

AVX2_INLINE vec minus(vec x, product p) {
    return _mm256_sub_pd(_mm256_sub_pd(x, p.l), p.rest);
}

/* v in (-q, q) -> [0, q), as a double (-0 is possible, and harmless in sums and products). */
AVX2_INLINE vec lift(vec v, const field *f) {
    vec negative = _mm256_cmp_pd(v, _mm256_setzero_pd(), _CMP_LT_OQ);
    return _mm256_add_pd(v, _mm256_and_pd(negative, f->q));
}

#endif
#endif
