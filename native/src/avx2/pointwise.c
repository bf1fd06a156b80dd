/*
 * Word by word in vectors of four: sums for every prime, products for q < 2^50. `count` is a multiple of 4 here,
 * since rows are.
 */
#include "avx2/fp64.h"
#include "portable/modarith.h"

#if CKKS_X86

/* t in [-q, q) -> t mod q in [0, q). */
AVX2_INLINE void store_wrapped(uint64_t *out, ivec t, ivec q) {
    ivec negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), t);
    _mm256_storeu_si256((ivec *)out, _mm256_add_epi64(t, _mm256_and_si256(negative, q)));
}

AVX2_INLINE ivec load(const uint64_t *x) {
    return _mm256_loadu_si256((const ivec *)x);
}

AVX2 void avx2_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    const ivec q = _mm256_set1_epi64x((long long)m->q);
    for (size_t j = 0; j < count; j += 4) {
        store_wrapped(out + j, _mm256_sub_epi64(_mm256_add_epi64(load(x + j), load(y + j)), q), q);
    }
}

AVX2 void avx2_sub(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    const ivec q = _mm256_set1_epi64x((long long)m->q);
    for (size_t j = 0; j < count; j += 4) {
        store_wrapped(out + j, _mm256_sub_epi64(load(x + j), load(y + j)), q);
    }
}

/* Products of residues below q in size: |result of mul()| <= q/2 + q^2 2^-52 (1 + u) < q, as store_words wants. */

AVX2 void avx2_mul(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    const field f = field_of(m);
    for (size_t j = 0; j < count; j += 4) {
        store_words(out + j, mul(load_words(x + j), load_words(y + j), &f), &f);
    }
}

AVX2 void avx2_mul_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out) {
    const field f = field_of(m);
    const vec scalar = word_everywhere(w);
    for (size_t j = 0; j < count; j += 4) {
        store_words(out + j, mul(load_words(x + j), scalar, &f), &f);
    }
}

AVX2 void avx2_mul_scalar_add(const modulus *m, size_t count, const uint64_t *x, uint64_t w, const uint64_t *y,
                              uint64_t *out) {
    const field f = field_of(m);
    const vec scalar = word_everywhere(w);
    for (size_t j = 0; j < count; j += 4) {
        vec product = lift(mul(load_words(x + j), scalar, &f), &f);
        vec sum = _mm256_add_pd(product, load_words(y + j)); /* [0, 2q) */
        store_words(out + j, _mm256_sub_pd(sum, f.q), &f);
    }
}

AVX2 void avx2_sub_mul_scalar(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t w,
                              uint64_t *out) {
    const field f = field_of(m);
    const vec scalar = word_everywhere(w);
    for (size_t j = 0; j < count; j += 4) {
        vec difference = _mm256_sub_pd(load_words(x + j), load_words(y + j)); /* (-q, q) */
        store_words(out + j, mul(difference, scalar, &f), &f);
    }
}
#endif
