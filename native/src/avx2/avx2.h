/*
 * What the AVX2 + FMA variant provides: everything for primes below 2^50, and sums for every prime.
 */
#ifndef CKKS_AVX2_H
#define CKKS_AVX2_H

#include "modulus.h"

#if CKKS_X86

/* The last four layers of a transform work on blocks of 16, one pass at least comes before them. */
#define AVX2_SMALLEST_N 32

CKKS_HIDDEN int avx2_prepare(modulus *m, uint64_t psi);
CKKS_HIDDEN void avx2_ntt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void avx2_intt(const modulus *m, const uint64_t *x, uint64_t *out);

/* q < 2^61 */
CKKS_HIDDEN void avx2_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void avx2_add_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
CKKS_HIDDEN void avx2_sub(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);

CKKS_HIDDEN void avx2_small_words(const modulus *m, size_t count, const int8_t *x, uint64_t *out);

/* Streams, of any length. */
CKKS_HIDDEN size_t avx2_take_below(uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out);
CKKS_HIDDEN void avx2_binomial(size_t count, const uint64_t *x, int8_t *out);

/* q < 2^50 */
CKKS_HIDDEN void avx2_mul(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void avx2_mul_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
CKKS_HIDDEN void avx2_mul_scalar_add(const modulus *m, size_t count, const uint64_t *x, uint64_t w,
                                     const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void avx2_sub_mul_scalar(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                                     uint64_t w, uint64_t *out);
CKKS_HIDDEN void avx2_tensor(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2],
                             uint64_t *const out[3]);
CKKS_HIDDEN void avx2_dot(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                          const uint64_t *y, ptrdiff_t y_term, uint64_t *out);
CKKS_HIDDEN void avx2_weighted_sum(const modulus *m, size_t count, size_t terms, const uint64_t *x,
                                   ptrdiff_t x_term, const uint64_t *w, ptrdiff_t w_term, uint64_t *out);
CKKS_HIDDEN void avx2_signed_words(const modulus *m, size_t count, const int64_t *low, const int64_t *high,
                                   uint64_t *out);

CKKS_HIDDEN void avx2_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                              const uint64_t *z, uint64_t *out);
CKKS_HIDDEN void avx2_neg_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                                  const uint64_t *z, uint64_t *out);
CKKS_HIDDEN void avx2_rounded_words(const modulus *m, size_t count, const double *x, double scale, uint64_t *out);

/* All primes of the conversion below 2^50? */
CKKS_HIDDEN int avx2_converts(const conversion *c);
/* y_i in [0, d_i) and the overflow counts v of `width` columns, a multiple of 4, as doubles; the rows of y are `apart`
 * from each other, and may be those of x. */
CKKS_HIDDEN void avx2_split(const conversion *c, size_t width, const uint64_t *x, ptrdiff_t x_limb, double *y,
                            size_t apart, double *v);
/* From these the row of target j, in reals of at most p/2 + 1. */
CKKS_HIDDEN void avx2_combine(const conversion *c, size_t j, size_t width, const double *y, size_t apart,
                              const double *v, double *out);
CKKS_HIDDEN void avx2_convert(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb,
                              uint64_t *out, ptrdiff_t out_limb);

#endif
#endif
