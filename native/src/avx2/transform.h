/*
 * What becomes of the values of a forward transform: a row that is only an intermediate is never written.
 */
#ifndef CKKS_AVX2_TRANSFORM_H
#define CKKS_AVX2_TRANSFORM_H

#include "avx2/fp64.h"

#if CKKS_X86

/* What becomes of value r at place j: |r| <= q/2 + 1, or, where sums are `lazy`, |r| <= 2^51. */
enum {
    TO_WORDS,  /* row[j] = r mod q, as a word */
    TO_SUMS,   /* sum[p][j] += r key[p][j] for p = 0, 1 */
    TO_RESULT, /* out[j] = weight (minuend[j] - r) mod q, as a word */
};

typedef struct {
    int kind, lazy;
    double *row; /* n doubles (words), scratch unless these values are wanted */
    double *sum[2];
    const uint64_t *key[2];
    const double *minuend; /* a sum as above */
    double weight;         /* in (-q/2, q/2) */
    uint64_t *out;
} sink;

/*
 * |key r| < 2^51 q, so a product is at most q/2 + q (q/2 + 1) 2^-52 (1 + u) < 5/8 q + 1; ten of them on a residue of
 * at most q/2 + 1 (or nine on what they begin with, lift.c) stay below 7 q: lift.c reduces the sums every tenth time.
 * With r itself that is below 2^53, where reduce() ends.
 *
 * Lazily (twiddles.c says when: q <= 2^49 and |r| <= 2^51) a product is at most q/2 + q/2 (1 + u) < q + 1, ten of them
 * with what they are added to below 11 q, and with r below 2^53 still.
 */
AVX2_INLINE void emit(vec r, size_t j, const sink *to, int kind, const field *f) {
    if (kind == TO_WORDS) {
        store_words((uint64_t *)to->row + j, r, f);
    } else if (kind == TO_SUMS) {
        for (int p = 0; p < 2; p++) {
            vec sum = _mm256_add_pd(_mm256_loadu_pd(to->sum[p] + j), mul(load_words(to->key[p] + j), r, f));
            check_bound(_mm256_div_pd(sum, f->q), to->lazy ? 11 : 7);
            _mm256_storeu_pd(to->sum[p] + j, sum);
        }
    } else {
        vec difference = reduce(_mm256_sub_pd(_mm256_loadu_pd(to->minuend + j), r), f);
        store_words(to->out + j, mul(difference, _mm256_set1_pd(to->weight), f), f);
    }
}

/* The forward transform of the reals in x, which may be to->row, below q in size. */
CKKS_HIDDEN void avx2_ntt_to(const modulus *m, const double *x, const sink *to);

#endif
#endif
