/*
 * The few operations on eight 64-bit words that the files of avx512 are written in; tests/emulate_avx512.h has the same in
 * scalar loops. multiply_add_low and _high read the low 52 bits of their factors: anything larger is silently wrong,
 * so every caller states why its factors are below 2^52 (the emulation asserts it).
 */
#ifndef CKKS_VECTOR_H
#define CKKS_VECTOR_H

#ifdef CKKS_EMULATE_AVX512
#include "emulate_avx512.h"
#else
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512ifma")))
#define AVX512_INLINE static inline __attribute__((always_inline, target("avx512f,avx512dq,avx512vl,avx512ifma")))

typedef __m512i vec;

AVX512_INLINE vec load(const uint64_t *x) {
    return _mm512_loadu_si512(x);
}
AVX512_INLINE vec load_narrow(const int32_t *x) { /* to two's complement words */
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)x));
}
AVX512_INLINE void store(uint64_t *x, vec a) {
    _mm512_storeu_si512(x, a);
}
AVX512_INLINE vec broadcast(uint64_t x) {
    return _mm512_set1_epi64((long long)x);
}
AVX512_INLINE vec add(vec a, vec b) {
    return _mm512_add_epi64(a, b);
}
AVX512_INLINE vec subtract(vec a, vec b) {
    return _mm512_sub_epi64(a, b);
}
AVX512_INLINE vec minimum(vec a, vec b) { /* of unsigned words */
    return _mm512_min_epu64(a, b);
}
AVX512_INLINE vec both(vec a, vec b) { /* bit by bit */
    return _mm512_and_si512(a, b);
}
/* Each of 4 words twice, of 2 words four times. */
AVX512_INLINE vec load_twice(const uint64_t *x) {
    const vec places = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_epi64(places, _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)x)));
}
AVX512_INLINE vec load_four_times(const uint64_t *x) {
    const vec places = _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0);
    return _mm512_permutexvar_epi64(places, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)x)));
}
/* Do all eight places lie in one aligned block of eight words? */
AVX512_INLINE int in_one_block(const int64_t *places) {
    const vec p = _mm512_loadu_si512(places), first = _mm512_set1_epi64(places[0]);
    return _mm512_cmplt_epu64_mask(_mm512_xor_si512(p, first), _mm512_set1_epi64(8)) == 0xff;
}
/* x[places[i] mod 8] */
AVX512_INLINE vec load_permuted(const uint64_t *x, const int64_t *places) {
    return _mm512_permutexvar_epi64(_mm512_loadu_si512(places), _mm512_loadu_si512(x));
}
AVX512_INLINE vec shift_left(vec a, unsigned bits) {
    return _mm512_slli_epi64(a, bits);
}
AVX512_INLINE vec shift_right(vec a, unsigned bits) {
    return _mm512_srli_epi64(a, bits);
}
/* sum + (a b mod 2^52) and sum + floor(a b / 2^52), for a, b < 2^52 */
AVX512_INLINE vec multiply_add_low(vec sum, vec a, vec b) {
    return _mm512_madd52lo_epu64(sum, a, b);
}
AVX512_INLINE vec multiply_add_high(vec sum, vec a, vec b) {
    return _mm512_madd52hi_epu64(sum, a, b);
}
/* (a0, b0, a2, b2, a4, b4, a6, b6) and (a1, b1, a3, b3, ...) */
AVX512_INLINE vec interleave_even(vec a, vec b) {
    return _mm512_unpacklo_epi64(a, b);
}
AVX512_INLINE vec interleave_odd(vec a, vec b) {
    return _mm512_unpackhi_epi64(a, b);
}
/* Pairs of words (i, j) of a, then (k, l) of b, of the four pairs in each. */
#define PAIRS(a, b, i, j, k, l) _mm512_shuffle_i64x2(a, b, (i) | (j) << 2 | (k) << 4 | (l) << 6)
#endif

#endif
