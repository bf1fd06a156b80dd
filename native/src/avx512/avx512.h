/*
 * What the AVX-512-IFMA variant provides: the transforms for primes below 2^50.
 *
 * With -DCKKS_EMULATE_AVX512 the same source is compiled on tests/emulate_avx512.h, scalar loops in place of vector
 * instructions, so that it can be tested on any machine.
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

#if CKKS_IFMA
/* The last six layers of a transform work on blocks of 64. */
#define IFMA_SMALLEST_N 64

CKKS_HIDDEN int ifma_prepare(modulus *m, uint64_t psi);
CKKS_HIDDEN void ifma_ntt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void ifma_intt(const modulus *m, const uint64_t *x, uint64_t *out);
#endif

#endif
