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

AVX2 void avx2_add_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out) {
    const ivec q = _mm256_set1_epi64x((long long)m->q), less = _mm256_set1_epi64x((long long)(w - m->q));
    for (size_t j = 0; j < count; j += 4) {
        store_wrapped(out + j, _mm256_add_epi64(load(x + j), less), q);
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

/* Two products are below 3/2 q + 2 in size. */
AVX2 void avx2_tensor(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2], uint64_t *const out[3]) {
    const field f = field_of(m);
    for (size_t j = 0; j < m->n; j += 4) {
        const vec x0 = load_words(x[0] + j), x1 = load_words(x[1] + j);
        const vec y0 = load_words(y[0] + j), y1 = load_words(y[1] + j);
        store_words(out[0] + j, mul(x0, y0, &f), &f);
        store_words(out[1] + j, reduce(_mm256_add_pd(mul(x0, y1, &f), mul(x1, y0, &f)), &f), &f);
        store_words(out[2] + j, mul(x1, y1, &f), &f);
    }
}

/* The product and z lie in [0, q): their difference in (-q, q), their sum less q in [-q, q), and store_words takes -q
 * to 0. */

AVX2 void avx2_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                       uint64_t *out) {
    const field f = field_of(m);
    for (size_t j = 0; j < count; j += 4) {
        vec product = lift(mul(load_words(x + j), load_words(y + j), &f), &f);
        store_words(out + j, _mm256_sub_pd(_mm256_add_pd(product, load_words(z + j)), f.q), &f);
    }
}

AVX2 void avx2_neg_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                           uint64_t *out) {
    const field f = field_of(m);
    for (size_t j = 0; j < count; j += 4) {
        vec product = lift(mul(load_words(x + j), load_words(y + j), &f), &f);
        store_words(out + j, _mm256_sub_pd(load_words(z + j), product), &f);
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

/*
 * v mod q in (-q, q) for |v| < 2^62: v + 2^62 = a 2^26 + b with 0 <= a < 2^37, 0 <= b < 2^26, so
 * v = (a - 2^36) 2^26 + b. |a - 2^36| <= 2^36 times a residue is far below 2^51 q.
 */
AVX2_INLINE vec reduce_signed(const int64_t *v, vec two26, const field *f) {
    ivec raised = _mm256_add_epi64(_mm256_loadu_si256((const ivec *)v), _mm256_set1_epi64x(1LL << 62));
    vec a = _mm256_sub_pd(from_words(_mm256_srli_epi64(raised, 26)), _mm256_set1_pd(0x1p36));
    vec b = from_words(_mm256_and_si256(raised, _mm256_set1_epi64x((1LL << 26) - 1)));
    return reduce(_mm256_add_pd(mul(a, two26, f), b), f);
}

AVX2 void avx2_signed_words(const modulus *m, size_t count, const int64_t *low, const int64_t *high, uint64_t *out) {
    const field f = field_of(m);
    const vec two26 = word_everywhere(((uint64_t)1 << 26) % m->q), two52 = word_everywhere(m->two52);
    for (size_t j = 0; j < count; j += 4) {
        vec v = reduce_signed(low + j, two26, &f);
        if (high != NULL) {
            v = reduce(_mm256_add_pd(v, mul(reduce_signed(high + j, two26, &f), two52, &f)), &f);
        }
        store_words(out + j, v, &f);
    }
}
#endif
