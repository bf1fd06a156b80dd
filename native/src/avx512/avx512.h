/*
 * What the AVX-512-IFMA variant provides: the transforms, combinations and permutations, for primes below 2^50.
 *
 * With -DCKKS_EMULATE_AVX512 the same source is compiled on tests/emulate_avx512.h, scalar loops in place of vector
 * instructions, so that it can be tested on any machine. Everything beside these is portable then, or, with
 * -DCKKS_BESIDE_AVX2, what runs beside them on a CPU that has both.
 */
#ifndef CKKS_AVX512_H
#define CKKS_AVX512_H

#include "modulus.h"

#ifdef CKKS_EMULATE_AVX512
#define CKKS_EMULATED 1
#else
#define CKKS_EMULATED 0
#endif
#define CKKS_IFMA (CKKS_X86 || CKKS_EMULATED)

/* Are the AVX2 kernels served? */
#if defined(CKKS_EMULATE_AVX512) && !defined(CKKS_BESIDE_AVX2)
#define CKKS_AVX2 0
#else
#define CKKS_AVX2 CKKS_X86
#endif

#if CKKS_IFMA
/* The last six layers of a transform work on blocks of 64. */
#define IFMA_SMALLEST_N 64

CKKS_HIDDEN int ifma_prepare(modulus *m, uint64_t psi);
CKKS_HIDDEN void ifma_ntt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void ifma_intt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void ifma_gather(size_t n, const uint64_t *x, const int64_t *index, uint64_t *out);
CKKS_HIDDEN void ifma_combine(const modulus *m, size_t count, size_t terms, size_t entries, const uint64_t *const x[2],
                              size_t repeat, const uint64_t *y, ptrdiff_t y_term, uint64_t *const out[2]);
#endif

#endif
