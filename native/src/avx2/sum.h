/*
 * Sums of products of residues below 2^50, modulo q, reduced once in six terms.
 *
 * A product has up to 100 bits. It is added to S, which starts at 2^103: six products (eight would do) keep S in
 * [2^103, 2^104], where doubles are the multiples of 2^51, so the addition rounds by e with |e| <= 2^50. That error
 * is found exactly and added to L:
 *     S' = fl(S + a b),   e = a b + (S - S')
 * S - S' is a multiple of 2^51 of at most 2^100 + 2^51, exact; e is an integer, exact; |L| <= 6 2^50, exact.
 * Then  sum a b = (S - 2^103) + L  with S - 2^103 = 2^51 H, 0 <= H <= 6 2^49 < 2^52.
 *
 * Four instructions a product instead of mul()'s six and an addition, two of them on the way of the next.
 */
#ifndef CKKS_SUM_H
#define CKKS_SUM_H

#include "avx2/fp64.h"

#if CKKS_X86
#define SUM_TERMS 6

typedef struct {
    vec high, low;
} lazy_sum;

AVX2_INLINE lazy_sum empty_sum(void) {
    return (lazy_sum){_mm256_set1_pd(0x1p103), _mm256_setzero_pd()};
}

/* a, b in [0, 2^50), as doubles. */
AVX2_INLINE void add_product(lazy_sum *s, vec a, vec b) {
    vec next = _mm256_fmadd_pd(a, b, s->high);
    vec error = _mm256_fmadd_pd(a, b, _mm256_sub_pd(s->high, next));
    s->high = next;
    s->low = _mm256_add_pd(s->low, error);
    check_bound(s->high, 0x1p104);
    check_bound(s->low, 6 * 0x1p50);
}

/* 2^51 mod q in (-q/2, q/2), over 2^51: the factor that fold_sum wants. */
AVX2_INLINE vec high_factor(const modulus *m) {
    return _mm256_set1_pd(m->two51 * 0x1p-51);
}

/*
 * total + sum mod q, |result| <= q/2 + 1, for |total| <= q/2 + 1.
 * H (2^51 mod q) is mul() of 2^51 H by the factor over 2^51 (powers of two change no rounding): H < 2^52 times less
 * than q/2, so within q/2 + q/2 (1 + u) < q + 1. With L and the total that is below 6 2^50 + 2^50 + 2^49 + 2 < 2^53,
 * exact, as reduce() wants; and below 2^51 q, since q >= 5 here, or since |L| <= 6 q^2 for products of residues of q
 * itself.
 */
AVX2_INLINE vec fold_sum(const lazy_sum *s, vec total, vec factor, const field *f) {
    vec h = mul(_mm256_sub_pd(s->high, _mm256_set1_pd(0x1p103)), factor, f);
    return reduce(_mm256_add_pd(_mm256_add_pd(h, s->low), total), f);
}
#endif
#endif
