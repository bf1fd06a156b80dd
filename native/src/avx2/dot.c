/*
 * Sums of products (sum.h) over K terms: four vectors of columns at a time, all terms before the next columns.
 */
#include "avx2/sum.h"
#include "portable/modarith.h"

#if CKKS_X86

/* Vectors side by side: their chains of additions overlap. */
#define LANES 4

/* sum over k of x[k] y[k] for the 4 `lanes` columns from `start`; y is a row of words per term, or one word. */
AVX2_INLINE void columns(const modulus *m, size_t lanes, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                         const uint64_t *y, ptrdiff_t y_term, int scalar, uint64_t *out) {
    const field f = field_of(m);
    const vec factor = high_factor(m);
    vec total[LANES];
    for (size_t i = 0; i < lanes; i++) {
        total[i] = _mm256_setzero_pd();
    }
    while (terms > 0) {
        const size_t now = terms < SUM_TERMS ? terms : SUM_TERMS;
        lazy_sum sum[LANES];
        for (size_t i = 0; i < lanes; i++) {
            sum[i] = empty_sum();
        }
        for (size_t k = 0; k < now; k++, x += x_term, y += y_term) {
            const vec weight = word_everywhere(*y);
            for (size_t i = 0; i < lanes; i++) {
                add_product(&sum[i], load_words(x + 4 * i), scalar ? weight : load_words(y + 4 * i));
            }
        }
        for (size_t i = 0; i < lanes; i++) {
            total[i] = fold_sum(&sum[i], total[i], factor, &f);
        }
        terms -= now;
    }
    for (size_t i = 0; i < lanes; i++) {
        store_words(out + 4 * i, total[i], &f);
    }
}

AVX2 void avx2_dot(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                   const uint64_t *y, ptrdiff_t y_term, uint64_t *out) {
    for (size_t j = 0; j < count; j += 4 * LANES) {
        columns(m, LANES, terms, x + j, x_term, y + j, y_term, 0, out + j);
    }
}

AVX2 void avx2_weighted_sum(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                            const uint64_t *w, ptrdiff_t w_term, uint64_t *out) {
    for (size_t j = 0; j < count; j += 4 * LANES) {
        columns(m, LANES, terms, x + j, x_term, w, w_term, 1, out + j);
    }
}
#endif
