/*
 * The negacyclic NTT for primes below 2^50 in doubles (fp64.h), two layers a pass, depth first.
 *
 * Node k of the tree is a block whose twiddle is W[k] = psi^brv(k); its halves are nodes 2k and 2k+1. A pass takes a
 * node and both its children, so four quarters at a time:
 *
 *     a0 ---+------- a0 + w1 a2 ---+---  b0 = (a0 + w1 a2) + w2 (a1 + w1 a3)      w1 = W[k]
 *     a1 --- \ / --- a1 + w1 a3 ---+---  b1 = (a0 + w1 a2) - w2 (a1 + w1 a3)      w2 = W[2k]
 *     a2 --- / \ --- a0 - w1 a2 ---+---  b2 = (a0 - w1 a2) + w3 (a1 - w1 a3)      w3 = W[2k+1]
 *     a3 ---+------- a1 - w1 a3 ---+---  b3 = (a0 - w1 a2) - w3 (a1 - w1 a3)
 *
 * The quarters are then the nodes 4k .. 4k+3. Going down one block before the next keeps the lower passes of a long
 * transform in the first-level cache. The last four layers stay in registers: blocks of 16, two passes with a 4 x 4
 * transpose between them. When log n is odd, the first pass takes a single layer.
 *
 * Between passes the row holds doubles, in the memory of `out`. Twiddles are centred, |w| < q/2.
 *
 * Ranges. Products want a factor of at most 2^52. Values grow from pass to pass, so some passes reduce a part of
 * theirs: which ones is found once per prime, by following the bounds (twiddles.c). Below 2^47 hardly any pass has to,
 * near 2^50 nearly all.
 */
#include "avx2/fp64.h"
#include "avx2/transform.h"
#include "avx2/twiddles.h"

#if CKKS_X86

AVX2_INLINE factor one_factor(const double *w, const field *f) {
    return factor_of(_mm256_broadcast_sd(w), f);
}

AVX2_INLINE factor four_factors(const double *w, const field *f) {
    return factor_of(_mm256_loadu_pd(w), f);
}

/* ---- one pass on four vectors ---- */

AVX2_INLINE void load4(vec a[4], const double *x, size_t apart) {
    for (size_t i = 0; i < 4; i++) {
        a[i] = _mm256_loadu_pd(x + i * apart);
    }
}

AVX2_INLINE void store4(double *x, size_t apart, const vec a[4]) {
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_pd(x + i * apart, a[i]);
    }
}

AVX2_INLINE void forward4(vec a[4], factor w1, factor w2, factor w3, const field *f, int reducing) {
    vec u0 = reducing ? reduce(a[0], f) : a[0];
    product u2 = multiply(a[2], w1, f), u3 = multiply(a[3], w1, f);
    product v1 = multiply(plus(a[1], u3), w2, f), v3 = multiply(minus(a[1], u3), w3, f);
    vec v0 = plus(u0, u2), v2 = minus(u0, u2);
    a[0] = plus(v0, v1);
    a[1] = minus(v0, v1);
    a[2] = plus(v2, v3);
    a[3] = minus(v2, v3);
}

AVX2_INLINE void inverse4(vec a[4], factor w1, factor w2, factor w3, const field *f, int reducing) {
    vec u0 = _mm256_add_pd(a[0], a[1]), u1 = mul_factor(_mm256_sub_pd(a[0], a[1]), w2, f);
    vec u2 = _mm256_add_pd(a[2], a[3]), u3 = mul_factor(_mm256_sub_pd(a[2], a[3]), w3, f);
    vec v0 = _mm256_add_pd(u0, u2), v1 = _mm256_add_pd(u1, u3);
    a[0] = reducing ? reduce(v0, f) : v0;
    a[1] = reducing ? reduce(v1, f) : v1;
    a[2] = mul_factor(_mm256_sub_pd(u0, u2), w1, f);
    a[3] = mul_factor(_mm256_sub_pd(u1, u3), w1, f);
}

/* ---- the forward transform ---- */

/* 4 x 4 transpose, its own inverse. */
AVX2_INLINE void transpose(vec a[4]) {
    vec b0 = _mm256_unpacklo_pd(a[0], a[1]), b1 = _mm256_unpackhi_pd(a[0], a[1]);
    vec b2 = _mm256_unpacklo_pd(a[2], a[3]), b3 = _mm256_unpackhi_pd(a[2], a[3]);
    a[0] = _mm256_permute2f128_pd(b0, b2, 0x20);
    a[1] = _mm256_permute2f128_pd(b1, b3, 0x20);
    a[2] = _mm256_permute2f128_pd(b0, b2, 0x31);
    a[3] = _mm256_permute2f128_pd(b1, b3, 0x31);
}

/* One pass over a block of 4t values at a, or its first one, on words. */
AVX2_INLINE void forward_pass(double *a, const uint64_t *words, size_t t, const double *w1, const double *w2,
                              const field *f, int reducing) {
    const factor v1 = one_factor(w1, f), v2 = one_factor(w2, f), v3 = one_factor(w2 + 1, f);
    for (size_t j = 0; j < t; j += 4) {
        vec v[4];
        if (words != NULL) {
            for (size_t i = 0; i < 4; i++) {
                v[i] = load_words(words + j + i * t);
            }
        } else {
            load4(v, a + j, t);
        }
        forward4(v, v1, v2, v3, f, reducing);
        store4(a + j, t, v);
    }
}

/*
 * The last four layers of `count` blocks of 16, an even number. Two blocks at a time: one alone is a single chain of
 * instructions longer than the processor looks ahead.
 */
AVX2_INLINE void forward_tail(double *a, const double *w, size_t count, const field *f, int first, int second,
                              const sink *to, int kind, int lazy) {
    for (; count > 0; count -= 2, a += 32, w += 32) {
        vec v[2][4];
        for (int b = 0; b < 2; b++) {
            load4(v[b], a + 16 * b, 4);
            forward4(v[b], one_factor(w + 16 * b, f), one_factor(w + 16 * b + 1, f), one_factor(w + 16 * b + 2, f), f,
                     first);
        }
        for (int b = 0; b < 2; b++) {
            transpose(v[b]);
        }
        for (int b = 0; b < 2; b++) {
            forward4(v[b], four_factors(w + 16 * b + 4, f), four_factors(w + 16 * b + 8, f),
                     four_factors(w + 16 * b + 12, f), f, second);
        }
        for (int b = 0; b < 2; b++) {
            transpose(v[b]);
        }
        const size_t j = (size_t)(a - to->row);
        for (int i = 0; i < 8; i++) {
            vec r = v[i / 4][i % 4];
            emit(lazy ? r : reduce(r, f), j + 4 * (size_t)i, to, kind, f);
        }
    }
}

/* The last four arguments are constants in each of these calls: the loops inside are compiled once for each. */
AVX2_INLINE void forward_tails_to(double *a, const double *w, size_t count, const field *f, uint32_t reducing,
                                  const sink *to, int kind) {
    switch (reducing & 3) {
    case 0:
        if (kind != TO_WORDS && to->lazy) {
            forward_tail(a, w, count, f, 0, 0, to, kind, 1);
        } else {
            forward_tail(a, w, count, f, 0, 0, to, kind, 0);
        }
        break;
    case 1: forward_tail(a, w, count, f, 1, 0, to, kind, 0); break;
    case 2: forward_tail(a, w, count, f, 0, 1, to, kind, 0); break;
    default: forward_tail(a, w, count, f, 1, 1, to, kind, 0);
    }
}

AVX2 static void forward_tails(double *a, const double *w, size_t count, const field f, uint32_t reducing,
                               const sink *to) {
    switch (to->kind) {
    case TO_WORDS: forward_tails_to(a, w, count, &f, reducing, to, TO_WORDS); break;
    case TO_SUMS: forward_tails_to(a, w, count, &f, reducing, to, TO_SUMS); break;
    default: forward_tails_to(a, w, count, &f, reducing, to, TO_RESULT);
    }
}

/* Node k, a block of 4t values: one pass, then its quarters. Bit 0 of `reducing` is for this pass. */
AVX2 static void forward_node(const table *w, double *a, const uint64_t *words, size_t t, size_t k, const field f,
                              uint32_t reducing, const sink *to) {
    const double *w1 = w->head + k, *w2 = w->head + 2 * k;
    if (words != NULL) {
        forward_pass(a, words, t, w1, w2, &f, (int)(reducing & 1));
    } else if (reducing & 1) {
        forward_pass(a, NULL, t, w1, w2, &f, 1);
    } else {
        forward_pass(a, NULL, t, w1, w2, &f, 0);
    }
    if (t == 16) {
        forward_tails(a, w->tail + 16 * (4 * k - w->blocks), 4, f, reducing >> 1, to);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        forward_node(w, a + i * t, NULL, t / 4, 4 * k + i, f, reducing >> 1, to);
    }
}

/* From the words x, or from reals in to->row, below q in size, when x is NULL. */
AVX2_INLINE void forward(const modulus *m, const uint64_t *x, const sink *to) {
    const table w = table_of(m->forward, m->n);
    const field f = field_of(m);
    const size_t n = m->n;
    double *a = to->row;
    if (m->log_n % 2 == 0) {
        forward_node(&w, a, x, n / 4, 1, f, m->reduce_forward, to);
        return;
    }
    const factor w1 = one_factor(w.head + 1, &f);
    for (size_t j = 0; j < n / 2; j += 4) {
        vec u = x != NULL ? load_words(x + j) : _mm256_loadu_pd(a + j);
        vec v = mul_factor(x != NULL ? load_words(x + j + n / 2) : _mm256_loadu_pd(a + j + n / 2), w1, &f);
        _mm256_storeu_pd(a + j, _mm256_add_pd(u, v));
        _mm256_storeu_pd(a + j + n / 2, _mm256_sub_pd(u, v));
    }
    if (n == 32) {
        forward_tails(a, w.tail, 2, f, m->reduce_forward, to);
        return;
    }
    forward_node(&w, a, NULL, n / 8, 2, f, m->reduce_forward, to);
    forward_node(&w, a + n / 2, NULL, n / 8, 3, f, m->reduce_forward, to);
}

AVX2 void avx2_ntt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const sink to = {.kind = TO_WORDS, .row = (double *)out};
    forward(m, x, &to);
}

AVX2 void avx2_ntt_to(const modulus *m, const sink *to) {
    forward(m, NULL, to);
}

/* ---- the inverse transform: the same tree, from the leaves up ---- */

AVX2_INLINE void inverse_pass(double *a, size_t t, const double *w1, const double *w2, const field *f,
                              int reducing) {
    const factor v1 = one_factor(w1, f), v2 = one_factor(w2, f), v3 = one_factor(w2 + 1, f);
    for (size_t j = 0; j < t; j += 4) {
        vec v[4];
        load4(v, a + j, t);
        inverse4(v, v1, v2, v3, f, reducing);
        store4(a + j, t, v);
    }
}

/* The first four layers of `count` blocks of 16, an even number, from words; two at a time as above. */
AVX2_INLINE void inverse_tail(double *a, const uint64_t *x, const double *w, size_t count, const field *f, int first,
                              int second) {
    for (; count > 0; count -= 2, a += 32, x += 32, w += 32) {
        vec v[2][4];
        for (int b = 0; b < 2; b++) {
            for (int i = 0; i < 4; i++) {
                v[b][i] = load_words(x + 16 * b + 4 * i);
            }
            transpose(v[b]);
        }
        for (int b = 0; b < 2; b++) {
            inverse4(v[b], four_factors(w + 16 * b + 4, f), four_factors(w + 16 * b + 8, f),
                     four_factors(w + 16 * b + 12, f), f, first);
        }
        for (int b = 0; b < 2; b++) {
            transpose(v[b]);
        }
        for (int b = 0; b < 2; b++) {
            inverse4(v[b], one_factor(w + 16 * b, f), one_factor(w + 16 * b + 1, f), one_factor(w + 16 * b + 2, f), f,
                     second);
            store4(a + 16 * b, 4, v[b]);
        }
    }
}

AVX2 static void inverse_tails(double *a, const uint64_t *x, const double *w, size_t count, const field f,
                               uint32_t reducing) {
    switch (reducing & 3) {
    case 0: inverse_tail(a, x, w, count, &f, 0, 0); break;
    case 1: inverse_tail(a, x, w, count, &f, 1, 0); break;
    case 2: inverse_tail(a, x, w, count, &f, 0, 1); break;
    default: inverse_tail(a, x, w, count, &f, 1, 1);
    }
}

/* The quarters of node k, without the pass that joins them. */
AVX2 static void inverse_node(const table *w, double *a, const uint64_t *x, size_t t, size_t k, const field f,
                              uint32_t reducing, unsigned pass);

AVX2_INLINE void inverse_quarters(const table *w, double *a, const uint64_t *x, size_t t, size_t k, const field *f,
                                  uint32_t reducing, unsigned pass) {
    if (t == 16) {
        inverse_tails(a, x, w->tail + 16 * (4 * k - w->blocks), 4, *f, reducing);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        inverse_node(w, a + i * t, x + i * t, t / 4, 4 * k + i, *f, reducing, pass - 1);
    }
}

/* Node k, a block of 4t values: its quarters, then one pass, the one of bit `pass`. */
AVX2 static void inverse_node(const table *w, double *a, const uint64_t *x, size_t t, size_t k, const field f,
                              uint32_t reducing, unsigned pass) {
    inverse_quarters(w, a, x, t, k, &f, reducing, pass);
    if (reducing >> pass & 1) {
        inverse_pass(a, t, w->head + k, w->head + 2 * k, &f, 1);
    } else {
        inverse_pass(a, t, w->head + k, w->head + 2 * k, &f, 0);
    }
}

/*
 * The last pass: every value gets the factor 1/n, so every value is a product and leaves below
 * product_bound(4B) < q. The twiddle W[1] is stored with 1/n in it.
 */
AVX2 void avx2_intt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const table w = table_of(m->inverse, m->n);
    const field f = field_of(m);
    const size_t n = m->n;
    double *a = (double *)out;
    const factor w1 = one_factor(w.head + 1, &f), scale = one_factor(w.head, &f);
    if (m->log_n % 2 == 0) {
        const unsigned last = m->log_n / 2 - 1;
        inverse_quarters(&w, a, x, n / 4, 1, &f, m->reduce_inverse, last);
        const factor w2 = one_factor(w.head + 2, &f), w3 = one_factor(w.head + 3, &f);
        const size_t t = n / 4;
        for (size_t j = 0; j < t; j += 4) {
            vec v[4];
            load4(v, a + j, t);
            inverse4(v, w1, w2, w3, &f, 0);
            store_words(out + j, mul_factor(v[0], scale, &f), &f);
            store_words(out + j + t, mul_factor(v[1], scale, &f), &f);
            store_words(out + j + 2 * t, v[2], &f);
            store_words(out + j + 3 * t, v[3], &f);
        }
        return;
    }
    if (n == 32) {
        inverse_tails(a, x, w.tail, 2, f, m->reduce_inverse);
    } else {
        const unsigned pass = m->log_n / 2 - 1;
        inverse_node(&w, a, x, n / 8, 2, f, m->reduce_inverse, pass);
        inverse_node(&w, a + n / 2, x + n / 2, n / 8, 3, f, m->reduce_inverse, pass);
    }
    for (size_t j = 0; j < n / 2; j += 4) {
        vec u = _mm256_loadu_pd(a + j), v = _mm256_loadu_pd(a + j + n / 2);
        store_words(out + j, mul_factor(_mm256_add_pd(u, v), scale, &f), &f);
        store_words(out + j + n / 2, mul_factor(_mm256_sub_pd(u, v), w1, &f), &f);
    }
}
#endif
