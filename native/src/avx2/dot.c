/*
 * Sums of products over K terms. Rows are often a power of two apart, and so compete for the same lines of the cache: of
 * many at once the processor would read nothing ahead. So a few terms at a time, through a block of columns.
 */
#include "avx2/sum.h"
#include "portable/modarith.h"

#if CKKS_X86

/* Vectors side by side: their chains of additions overlap. */
#define LANES 4
/* Columns that go through all terms before the next; their sums stay on the stack. */
#define BLOCK 2048

/* sum over k of x[k] y[k] for `count` <= BLOCK columns, by lazy sums (sum.h) of SUM_TERMS at a time. */
AVX2_INLINE void columns(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                         const uint64_t *y, ptrdiff_t y_term, uint64_t *out) {
    const field f = field_of(m);
    const vec factor = high_factor(m);
    _Alignas(32) double total[BLOCK];
    for (size_t done = 0; done < terms; done += SUM_TERMS) {
        const size_t end = terms - done < SUM_TERMS ? terms : done + SUM_TERMS;
        for (size_t j = 0; j < count; j += 4 * LANES) {
            lazy_sum sum[LANES];
            for (size_t i = 0; i < LANES; i++) {
                sum[i] = empty_sum();
            }
            for (size_t k = done; k < end; k++) {
                const uint64_t *u = x + (ptrdiff_t)k * x_term + j, *v = y + (ptrdiff_t)k * y_term + j;
                for (size_t i = 0; i < LANES; i++) {
                    add_product(&sum[i], load_words(u + 4 * i), load_words(v + 4 * i));
                }
            }
            for (size_t i = 0; i < LANES; i++) {
                const size_t at = j + 4 * i;
                vec v = fold_sum(&sum[i], done == 0 ? _mm256_setzero_pd() : _mm256_load_pd(total + at), factor, &f);
                if (end == terms) {
                    store_words(out + at, v, &f);
                } else {
                    _mm256_store_pd(total + at, v);
                }
            }
        }
    }
}

AVX2 void avx2_dot(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                   const uint64_t *y, ptrdiff_t y_term, uint64_t *out) {
    for (size_t j = 0; j < count; j += BLOCK) {
        const size_t width = count - j < BLOCK ? count - j : BLOCK;
        columns(m, width, terms, x + j, x_term, y + j, y_term, out + j);
    }
}

/*
 * Weighted sums. Each product is reduced by itself: with a factor that serves many products that is five instructions,
 * as many as a lazy sum with its fold. The rows of the next group are asked for ahead of their turn.
 *
 * 0 <= x < q and a centred weight make products of at most q/2 + q (q/2) 2^-52 (1 + u) < 5/8 q + 1; eight of them on a
 * residue of q/2 + 1 stay below 6 q < 2^53.
 */
#define GROUP 4

AVX2_INLINE void add_group(const field *f, size_t terms, const uint64_t *x, ptrdiff_t x_term, const factor *w,
                           size_t ahead, size_t width, int reducing, double *sums) {
    for (size_t j = 0; j < width; j += 4) {
        vec sum = _mm256_load_pd(sums + j);
        if (reducing) {
            sum = reduce(sum, f);
        }
        for (size_t k = 0; k < terms; k++) {
            _mm_prefetch((const char *)(x + (ptrdiff_t)(k + ahead) * x_term + j), _MM_HINT_T0);
            sum = _mm256_add_pd(sum, mul_factor(load_words(x + (ptrdiff_t)k * x_term + j), w[k], f));
        }
        _mm256_store_pd(sums + j, sum);
    }
}

AVX2 void avx2_weighted_sum(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                            const uint64_t *w, ptrdiff_t w_term, uint64_t *out) {
    const field f = field_of(m);
    const vec half = _mm256_mul_pd(f.q, _mm256_set1_pd(0.5));
    _Alignas(32) double sums[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t width = count - start < BLOCK ? count - start : BLOCK;
        for (size_t j = 0; j < width; j += 4) {
            _mm256_store_pd(sums + j, _mm256_setzero_pd());
        }
        for (size_t k = 0; k < terms; k += GROUP) {
            const size_t now = terms - k < GROUP ? terms - k : GROUP;
            const uint64_t *rows = x + (ptrdiff_t)k * x_term + start;
            factor weights[GROUP];
            for (size_t i = 0; i < now; i++) { /* centred without a branch: weights may be secret */
                vec v = word_everywhere(w[(ptrdiff_t)(k + i) * w_term]);
                vec above = _mm256_cmp_pd(v, half, _CMP_GT_OQ);
                weights[i] = factor_of(_mm256_sub_pd(v, _mm256_and_pd(above, f.q)), &f);
            }
            const size_t ahead = k + GROUP < terms ? GROUP : 0; /* where the next rows are asked for */
            const int reducing = k % (2 * GROUP) == 0 && k > 0;
            if (now == GROUP && reducing) {
                add_group(&f, GROUP, rows, x_term, weights, ahead, width, 1, sums);
            } else if (now == GROUP) {
                add_group(&f, GROUP, rows, x_term, weights, ahead, width, 0, sums);
            } else {
                add_group(&f, now, rows, x_term, weights, ahead, width, 1, sums);
            }
        }
        for (size_t j = 0; j < width; j += 4) {
            store_words(out + start + j, reduce(_mm256_load_pd(sums + j), &f), &f);
        }
    }
}
#endif
