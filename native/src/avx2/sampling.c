/*
 * portable/sampling.c in vectors.
 */
#include "avx2/fp64.h"
#include "portable/modarith.h"

#if CKKS_X86

/* For each set of accepted words among four, the halves of words that bring them to the front, in order. */
#define LANE(i) 2 * (i), 2 * (i) + 1
static const int32_t fronts[16][8] __attribute__((aligned(32))) = {
    {LANE(0), LANE(1), LANE(2), LANE(3)}, {LANE(0), LANE(1), LANE(2), LANE(3)}, {LANE(1), LANE(0), LANE(2), LANE(3)},
    {LANE(0), LANE(1), LANE(2), LANE(3)}, {LANE(2), LANE(0), LANE(1), LANE(3)}, {LANE(0), LANE(2), LANE(1), LANE(3)},
    {LANE(1), LANE(2), LANE(0), LANE(3)}, {LANE(0), LANE(1), LANE(2), LANE(3)}, {LANE(3), LANE(0), LANE(1), LANE(2)},
    {LANE(0), LANE(3), LANE(1), LANE(2)}, {LANE(1), LANE(3), LANE(0), LANE(2)}, {LANE(0), LANE(1), LANE(3), LANE(2)},
    {LANE(2), LANE(3), LANE(0), LANE(1)}, {LANE(0), LANE(2), LANE(3), LANE(1)}, {LANE(1), LANE(2), LANE(3), LANE(0)},
    {LANE(0), LANE(1), LANE(2), LANE(3)},
};
static const uint8_t accepted_of[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};

/* The words are public, so that a table may be looked up by them. Four are stored each time, `room` allowing. */
AVX2 size_t avx2_take_below(uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out) {
    unsigned bits = 0;
    while (q >> bits) {
        bits++;
    }
    const ivec mask = _mm256_set1_epi64x((long long)(((uint64_t)1 << bits) - 1));
    const ivec bound = _mm256_set1_epi64x((long long)q);
    size_t filled = 0, j = 0;
    for (; j + 4 <= count && filled + 4 <= room; j += 4) {
        const ivec candidates = _mm256_and_si256(_mm256_loadu_si256((const ivec *)(x + j)), mask);
        const ivec below = _mm256_cmpgt_epi64(bound, candidates); /* both below 2^61: signed is as good */
        const int set = _mm256_movemask_pd(_mm256_castsi256_pd(below));
        const ivec order = _mm256_load_si256((const ivec *)fronts[set]);
        _mm256_storeu_si256((ivec *)(out + filled), _mm256_permutevar8x32_epi32(candidates, order));
        filled += accepted_of[set];
    }
    return filled + portable_take_below(q, count - j, x + j, room - filled, out + filled);
}

/* portable_binomial, nibbles counted by a shuffle (in a register, so no address depends on them). */
AVX2 void avx2_binomial(size_t count, const uint64_t *x, int8_t *out) {
    const ivec flip = _mm256_set1_epi64x(((1LL << 21) - 1) << 21), all = _mm256_set1_epi64x((1LL << 42) - 1);
    const ivec nibble = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const ivec ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                       3, 2, 3, 3, 4);
    size_t j = 0;
    for (; j + 16 <= count; j += 16) {
        ivec sums[4];
        for (int k = 0; k < 4; k++) {
            const ivec word = _mm256_loadu_si256((const ivec *)(x + j + 4 * k));
            const ivec v = _mm256_and_si256(_mm256_xor_si256(word, flip), all);
            const ivec low = _mm256_shuffle_epi8(ones, _mm256_and_si256(v, nibble));
            const ivec high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
            sums[k] = _mm256_sad_epu8(_mm256_add_epi8(low, high), zero); /* at most 42, one to a word */
        }
        /* Sixteen words of one byte each: sums[k] goes to bytes k of its words, then the words' low halves are
         * transposed, word w of vector k to byte 4 k + w. */
        ivec packed = _mm256_or_si256(
            _mm256_or_si256(sums[0], _mm256_slli_epi64(sums[1], 8)),
            _mm256_or_si256(_mm256_slli_epi64(sums[2], 16), _mm256_slli_epi64(sums[3], 24)));
        packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
        const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        const __m128i bytes = _mm_shuffle_epi8(_mm256_castsi256_si128(packed), order);
        _mm_storeu_si128((__m128i *)(out + j), _mm_sub_epi8(bytes, _mm_set1_epi8(21)));
    }
    portable_binomial(count - j, x + j, out + j);
}

/* For q > 128: x in [-128, 127] lies in (-q, q). */
AVX2 void avx2_small_words(const modulus *m, size_t count, const int8_t *x, uint64_t *out) {
    if (m->q <= 128) {
        portable_small_words(m, count, x, out);
        return;
    }
    const ivec q = _mm256_set1_epi64x((long long)m->q), zero = _mm256_setzero_si256();
    for (size_t j = 0; j < count; j += 4) {
        int32_t four;
        __builtin_memcpy(&four, x + j, sizeof four);
        const ivec v = _mm256_cvtepi8_epi64(_mm_cvtsi32_si128(four));
        const ivec negative = _mm256_cmpgt_epi64(zero, v);
        _mm256_storeu_si256((ivec *)(out + j), _mm256_add_epi64(v, _mm256_and_si256(negative, q)));
    }
}

/*
 * v = scale x rounded to an integer, |v| < 2^62: still a double, and v - k q, k = round(v q_inverse), is an integer
 * within q/2 + |v| 2 u <= q/2 + 2^10 < q for q >= 2^12, so that the fma is exact (as in reduce, where |v| <= 2^53);
 * k <= 2^62 / 2^12 is within the range of C.
 */
AVX2 void avx2_rounded_words(const modulus *m, size_t count, const double *x, double scale, uint64_t *out) {
    if (m->bits <= 12) {
        portable_rounded_words(m, count, x, scale, out);
        return;
    }
    const field f = field_of(m);
    const vec factor = _mm256_set1_pd(scale);
    for (size_t j = 0; j < count; j += 4) {
        const vec product = _mm256_mul_pd(_mm256_loadu_pd(x + j), factor);
        const vec v = _mm256_round_pd(product, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        check_bound(v, 0x1p62);
        const vec k = _mm256_sub_pd(_mm256_fmadd_pd(v, f.q_inverse, f.round), f.round);
        check_bound(k, 0x1p51);
        const vec r = _mm256_fnmadd_pd(k, f.q, v);
        check_bound(r, m->fp - 1);
        store_words(out + j, r, &f);
    }
}
#endif
