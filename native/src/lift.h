/*
 * Lifting residues from some primes to another without leaving NTT form, and what is done with them there: the steps
 * that key switching and division by primes (switch.c) are made of, for one target modulus at a time.
 *
 *   split    values modulo d_1 .. d_a  ->  v, y_1 .. y_a of the base conversion (portable/convert.c), coefficients
 *   lifted   v, y                      ->  the values modulo one target prime, in NTT form
 *
 * Rows of work and scratch are in a form of their own that belongs to the implementation: words below the modulus
 * (portable/lift.c), or doubles of either sign (avx2/lift.c). It never leaves switch.c.
 */
#ifndef CKKS_LIFT_H
#define CKKS_LIFT_H

#include "modulus.h"

/* How many words apart rows of work and scratch are: a few cache lines more than n, since rows whose distance is a
 * power of two compete for the same lines of the cache. */
CKKS_INLINE size_t row_words(size_t n) {
    return n + 72;
}

typedef struct lift_kernels {
    /* Rows of words in NTT form, times the rows of `factor` unless that is NULL, to a + 1 rows of work: v, then
     * y_1 .. y_a. The first rows are at x, the others (from `many` on) at rest. m[i] is source modulus i with tables. */
    void (*split)(const conversion *c, modulus *const *m, const uint64_t *x, size_t many, const uint64_t *rest,
                  ptrdiff_t limb, const uint64_t *factor, ptrdiff_t factor_limb, uint64_t *work);

    /* sum[p] = weight addend[p] for p = 0, 1; 0 where addend[p] (words) is NULL. */
    void (*begin)(const modulus *m, const uint64_t *const addend[2], uint64_t weight, uint64_t *const sum[2]);
    /* sum = weight (x[0] y[0], x[0] y[1] + x[1] y[0]), words. */
    void (*begin_product)(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2], uint64_t weight,
                          uint64_t *const sum[2]);
    /* sum[p] += key[p] (x or x factor), words; `added` is how many times this or the next was done before. */
    void (*add_words)(const modulus *m, const uint64_t *x, const uint64_t *factor, const uint64_t *const key[2],
                      size_t added, uint64_t *const sum[2]);
    /* The same with the lifted values for target j, which is m. row: scratch. */
    void (*add_lifted)(const conversion *c, size_t j, const modulus *m, const uint64_t *work,
                       const uint64_t *const key[2], size_t added, uint64_t *row, uint64_t *const sum[2]);

    /* The same with the transform of integers. row: scratch. */
    void (*add_small)(const modulus *m, const int32_t *y, const uint64_t *const key[2], size_t added, uint64_t *row,
                      uint64_t *const sum[2]);

    /* The lifted values for target j themselves, as words. */
    void (*lifted)(const conversion *c, size_t j, const modulus *m, const uint64_t *work, uint64_t *out);
    /* total[p] += factor sum[p]; factor (words) may be NULL; `added` is how many times this was done before: 0 starts the
     * total. */
    void (*add_sums)(const modulus *m, uint64_t *const sum[2], const uint64_t *factor, size_t added,
                     uint64_t *const total[2]);

    /* out = sum, to words. */
    void (*store)(const modulus *m, const uint64_t *sum, uint64_t *out);
    /* out = weight (sum - the lifted values for target j), to words. row: scratch. */
    void (*divide)(const conversion *c, size_t j, const modulus *m, const uint64_t *work, const uint64_t *sum,
                   uint64_t weight, uint64_t *row, uint64_t *out);
} lift_kernels;

extern CKKS_HIDDEN const lift_kernels portable_lift, avx2_lift, ifma_lift;

#endif
