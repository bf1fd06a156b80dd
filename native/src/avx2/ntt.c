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
 * Ranges. Let B bound the values before a pass; the largest factor of a product is then (see `pass_bounds`) below 2^52,
 * as mul() demands, because passes reduce where the growth would otherwise break this: which ones is found
 * once per prime, by following the bounds. For q < 2^48 hardly any pass has to; near 2^50 each has to.
 */
#include "avx2/fp64.h"
#include "portable/modarith.h"

#if CKKS_X86

/*
 * Layout of a table, in doubles. Head: W[k] at k, for the n/16 nodes k above the blocks of 16. Tail, from
 * n/16 rounded up to 8 on: 16 doubles for each block, with K = n/16 + block the node of its first layer:
 *   W[K], W[2K], W[2K+1], 0, and per lane W[4K + i], W[2(4K + i)], W[2(4K + i) + 1], i = 0..3.
 */
typedef struct {
    const double *head, *tail;
    size_t blocks; /* n/16, the node of the first block of 16 */
} table;

static size_t tail_start(size_t n) {
    return (n / 16 + 7) / 8 * 8;
}

AVX2_INLINE table table_of(const void *words, size_t n) {
    const double *head = words;
    return (table){head, head + tail_start(n), n / 16};
}

/* ---- one pass on four vectors ---- */

AVX2_INLINE void forward4(vec *a0, vec *a1, vec *a2, vec *a3, vec w1, vec w2, vec w3, const field *f,
                          int reducing) {
    vec u0 = reducing ? reduce(*a0, f) : *a0;
    vec u2 = mul(*a2, w1, f), u3 = mul(*a3, w1, f);
    vec v0 = _mm256_add_pd(u0, u2), v2 = _mm256_sub_pd(u0, u2);
    vec v1 = mul(_mm256_add_pd(*a1, u3), w2, f), v3 = mul(_mm256_sub_pd(*a1, u3), w3, f);
    *a0 = _mm256_add_pd(v0, v1);
    *a1 = _mm256_sub_pd(v0, v1);
    *a2 = _mm256_add_pd(v2, v3);
    *a3 = _mm256_sub_pd(v2, v3);
}

AVX2_INLINE void inverse4(vec *a0, vec *a1, vec *a2, vec *a3, vec w1, vec w2, vec w3, const field *f,
                          int reducing) {
    vec u0 = _mm256_add_pd(*a0, *a1), u1 = mul(_mm256_sub_pd(*a0, *a1), w2, f);
    vec u2 = _mm256_add_pd(*a2, *a3), u3 = mul(_mm256_sub_pd(*a2, *a3), w3, f);
    vec v0 = _mm256_add_pd(u0, u2), v1 = _mm256_add_pd(u1, u3);
    *a0 = reducing ? reduce(v0, f) : v0;
    *a1 = reducing ? reduce(v1, f) : v1;
    *a2 = mul(_mm256_sub_pd(u0, u2), w1, f);
    *a3 = mul(_mm256_sub_pd(u1, u3), w1, f);
}

/* ---- which passes reduce ---- */

/* |mul(a, w)| for |a| <= bound and |w| <= q/2, with slack for the roundings of this computation itself. */
static double product_bound(const modulus *m, double bound) {
    CHECK(bound <= 0x1p52);
    return (m->fp / 2) * (1 + bound * 0x1p-52) * (1 + 0x1p-40);
}

/*
 * Follow B, the bound of all values, through the passes, and let a pass reduce only if the next could not take what
 * it would leave otherwise. Bit p of the two masks belongs to pass p, in the order of execution.
 *
 * Forward: a pass multiplies values below B and B + r1 (r1 = product_bound(B)), so it takes B with B + r1 <= 2^52; it
 * leaves B0 + r1 + r2 with r2 = product_bound(B + r1), where B0 is B, or q/2 + 1 when reducing. At worst q = 2^50:
 * B = 2.14 q leaves B = .5 q + .77 q + .86 q = 2.13 q when reducing, and 2.14 q + .77 q < 4 q = 2^52.
 *
 * Inverse: with d bounding a_i - a_j and s bounding the sum of all four and (a0 + a1) - (a2 + a3), a pass multiplies
 * values below d, s and 2 product_bound(d); it takes s <= 2^52. The sums it leaves (s and 2 product_bound(d)) are
 * reduced or not, the products are below max(product_bound(s), product_bound(2 product_bound(d))). Usually d = 2B,
 * s = 4B; in the first pass, on words in [0, q), d = q and (a0 + a1) - (a2 + a3) < 2q. At worst q = 2^50, B is 0.75 q
 * after the first pass, then product_bound(4B) = q/2 + B/2, that is (1 - 2^-(p+1)) q after pass p: always 4B < 2^52.
 */
static void plan_reductions(modulus *m) {
    const unsigned single = m->log_n % 2, passes = m->log_n / 2;
    double bound = m->fp;
    if (single) {
        bound += product_bound(m, bound);
    }
    for (unsigned p = 0; p < passes; p++) {
        double r1 = product_bound(m, bound), r2 = product_bound(m, bound + r1);
        double left = bound + r1 + r2, half = m->fp / 2 + 1;
        int last = p == passes - 1; /* what it leaves is stored: reduce() takes 2^53 */
        if (last ? left > 0x1p53 : left > 0x1p51 || left + product_bound(m, left) > 0x1p52) {
            m->reduce_forward |= 1u << p;
            left = half + r1 + r2;
        }
        bound = left;
    }
    double difference = m->fp, spread = 2 * m->fp, sum = 4 * m->fp;
    for (unsigned p = 0; p + 1 - single < passes; p++) { /* the last pass multiplies everything: nothing is left */
        double r = product_bound(m, difference), s = product_bound(m, spread), t = product_bound(m, 2 * r);
        double sums = sum > 2 * r ? sum : 2 * r, half = m->fp / 2 + 1;
        bound = s > t ? s : t;
        if (sums > 0x1p50) {
            m->reduce_inverse |= 1u << p;
            sums = half;
        }
        bound = bound > sums ? bound : sums;
        CHECK(bound < 0x1p50);
        difference = 2 * bound, spread = sum = 4 * bound;
    }
}

/* ---- the forward transform ---- */

/* 4 x 4 transpose, its own inverse. */
AVX2_INLINE void transpose(vec *a0, vec *a1, vec *a2, vec *a3) {
    vec b0 = _mm256_unpacklo_pd(*a0, *a1), b1 = _mm256_unpackhi_pd(*a0, *a1);
    vec b2 = _mm256_unpacklo_pd(*a2, *a3), b3 = _mm256_unpackhi_pd(*a2, *a3);
    *a0 = _mm256_permute2f128_pd(b0, b2, 0x20);
    *a1 = _mm256_permute2f128_pd(b1, b3, 0x20);
    *a2 = _mm256_permute2f128_pd(b0, b2, 0x31);
    *a3 = _mm256_permute2f128_pd(b1, b3, 0x31);
}

/* One pass over a block of 4t values at a, or its first one, on words. */
AVX2_INLINE void forward_pass(double *a, const uint64_t *words, size_t t, const double *w1, const double *w2,
                              const field *f, int reducing) {
    const vec v1 = _mm256_broadcast_sd(w1), v2 = _mm256_broadcast_sd(w2), v3 = _mm256_broadcast_sd(w2 + 1);
    for (size_t j = 0; j < t; j += 4) {
        vec a0, a1, a2, a3;
        if (words != NULL) {
            a0 = load_words(words + j), a1 = load_words(words + j + t);
            a2 = load_words(words + j + 2 * t), a3 = load_words(words + j + 3 * t);
        } else {
            a0 = _mm256_loadu_pd(a + j), a1 = _mm256_loadu_pd(a + j + t);
            a2 = _mm256_loadu_pd(a + j + 2 * t), a3 = _mm256_loadu_pd(a + j + 3 * t);
        }
        forward4(&a0, &a1, &a2, &a3, v1, v2, v3, f, reducing);
        _mm256_storeu_pd(a + j, a0), _mm256_storeu_pd(a + j + t, a1);
        _mm256_storeu_pd(a + j + 2 * t, a2), _mm256_storeu_pd(a + j + 3 * t, a3);
    }
}

/* The last four layers of `count` blocks of 16, to words. */
AVX2_INLINE void forward_tail(double *a, const double *w, size_t count, const field *f, int first, int second) {
    for (; count > 0; count--, a += 16, w += 16) {
        vec a0 = _mm256_loadu_pd(a), a1 = _mm256_loadu_pd(a + 4);
        vec a2 = _mm256_loadu_pd(a + 8), a3 = _mm256_loadu_pd(a + 12);
        const vec v1 = _mm256_broadcast_sd(w), v2 = _mm256_broadcast_sd(w + 1), v3 = _mm256_broadcast_sd(w + 2);
        forward4(&a0, &a1, &a2, &a3, v1, v2, v3, f, first);
        transpose(&a0, &a1, &a2, &a3);
        forward4(&a0, &a1, &a2, &a3, _mm256_loadu_pd(w + 4), _mm256_loadu_pd(w + 8), _mm256_loadu_pd(w + 12), f,
                 second);
        transpose(&a0, &a1, &a2, &a3);
        uint64_t *out = (uint64_t *)a;
        store_words(out, reduce(a0, f), f), store_words(out + 4, reduce(a1, f), f);
        store_words(out + 8, reduce(a2, f), f), store_words(out + 12, reduce(a3, f), f);
    }
}

/* `reducing` is a constant in each of these calls: the loops inside are compiled once for each. */
AVX2 static void forward_tails(double *a, const double *w, size_t count, const field f, uint32_t reducing) {
    switch (reducing & 3) {
    case 0: forward_tail(a, w, count, &f, 0, 0); break;
    case 1: forward_tail(a, w, count, &f, 1, 0); break;
    case 2: forward_tail(a, w, count, &f, 0, 1); break;
    default: forward_tail(a, w, count, &f, 1, 1);
    }
}

/* Node k, a block of 4t values: one pass, then its quarters. Bit 0 of `reducing` is for this pass. */
AVX2 static void forward_node(const table *w, double *a, const uint64_t *words, size_t t, size_t k, const field f,
                              uint32_t reducing) {
    const double *w1 = w->head + k, *w2 = w->head + 2 * k;
    if (words != NULL) {
        forward_pass(a, words, t, w1, w2, &f, (int)(reducing & 1));
    } else if (reducing & 1) {
        forward_pass(a, NULL, t, w1, w2, &f, 1);
    } else {
        forward_pass(a, NULL, t, w1, w2, &f, 0);
    }
    if (t == 16) {
        forward_tails(a, w->tail + 16 * (4 * k - w->blocks), 4, f, reducing >> 1);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        forward_node(w, a + i * t, NULL, t / 4, 4 * k + i, f, reducing >> 1);
    }
}

AVX2 void avx2_ntt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const table w = table_of(m->forward, m->n);
    const field f = field_of(m);
    const size_t n = m->n;
    double *a = (double *)out;
    if (m->log_n % 2 == 0) {
        forward_node(&w, a, x, n / 4, 1, f, m->reduce_forward);
        return;
    }
    const vec w1 = _mm256_broadcast_sd(w.head + 1);
    for (size_t j = 0; j < n / 2; j += 4) {
        vec u = load_words(x + j), v = mul(load_words(x + j + n / 2), w1, &f);
        _mm256_storeu_pd(a + j, _mm256_add_pd(u, v));
        _mm256_storeu_pd(a + j + n / 2, _mm256_sub_pd(u, v));
    }
    if (n == 32) {
        forward_tails(a, w.tail, 2, f, m->reduce_forward);
        return;
    }
    forward_node(&w, a, NULL, n / 8, 2, f, m->reduce_forward);
    forward_node(&w, a + n / 2, NULL, n / 8, 3, f, m->reduce_forward);
}

/* ---- the inverse transform: the same tree, from the leaves up ---- */

AVX2_INLINE void inverse_pass(double *a, size_t t, const double *w1, const double *w2, const field *f,
                              int reducing) {
    const vec v1 = _mm256_broadcast_sd(w1), v2 = _mm256_broadcast_sd(w2), v3 = _mm256_broadcast_sd(w2 + 1);
    for (size_t j = 0; j < t; j += 4) {
        vec a0 = _mm256_loadu_pd(a + j), a1 = _mm256_loadu_pd(a + j + t);
        vec a2 = _mm256_loadu_pd(a + j + 2 * t), a3 = _mm256_loadu_pd(a + j + 3 * t);
        inverse4(&a0, &a1, &a2, &a3, v1, v2, v3, f, reducing);
        _mm256_storeu_pd(a + j, a0), _mm256_storeu_pd(a + j + t, a1);
        _mm256_storeu_pd(a + j + 2 * t, a2), _mm256_storeu_pd(a + j + 3 * t, a3);
    }
}

/* The first four layers of `count` blocks of 16, from words. */
AVX2_INLINE void inverse_tail(double *a, const uint64_t *x, const double *w, size_t count, const field *f, int first,
                              int second) {
    for (; count > 0; count--, a += 16, x += 16, w += 16) {
        vec a0 = load_words(x), a1 = load_words(x + 4), a2 = load_words(x + 8), a3 = load_words(x + 12);
        transpose(&a0, &a1, &a2, &a3);
        inverse4(&a0, &a1, &a2, &a3, _mm256_loadu_pd(w + 4), _mm256_loadu_pd(w + 8), _mm256_loadu_pd(w + 12), f,
                 first);
        transpose(&a0, &a1, &a2, &a3);
        const vec v1 = _mm256_broadcast_sd(w), v2 = _mm256_broadcast_sd(w + 1), v3 = _mm256_broadcast_sd(w + 2);
        inverse4(&a0, &a1, &a2, &a3, v1, v2, v3, f, second);
        _mm256_storeu_pd(a, a0), _mm256_storeu_pd(a + 4, a1);
        _mm256_storeu_pd(a + 8, a2), _mm256_storeu_pd(a + 12, a3);
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
    const vec w1 = _mm256_broadcast_sd(w.head + 1), scale = _mm256_broadcast_sd(w.head);
    if (m->log_n % 2 == 0) {
        const unsigned last = m->log_n / 2 - 1;
        inverse_quarters(&w, a, x, n / 4, 1, &f, m->reduce_inverse, last);
        const vec w2 = _mm256_broadcast_sd(w.head + 2), w3 = _mm256_broadcast_sd(w.head + 3);
        const size_t t = n / 4;
        for (size_t j = 0; j < t; j += 4) {
            vec a0 = _mm256_loadu_pd(a + j), a1 = _mm256_loadu_pd(a + j + t);
            vec a2 = _mm256_loadu_pd(a + j + 2 * t), a3 = _mm256_loadu_pd(a + j + 3 * t);
            inverse4(&a0, &a1, &a2, &a3, w1, w2, w3, &f, 0);
            store_words(out + j, mul(a0, scale, &f), &f), store_words(out + j + t, mul(a1, scale, &f), &f);
            store_words(out + j + 2 * t, a2, &f), store_words(out + j + 3 * t, a3, &f);
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
        store_words(out + j, mul(_mm256_add_pd(u, v), scale, &f), &f);
        store_words(out + j + n / 2, mul(_mm256_sub_pd(u, v), w1, &f), &f);
    }
}

/* ---- tables ---- */

static double *twiddles(const modulus *m, uint64_t psi) {
    const size_t n = m->n, blocks = n / 16;
    uint64_t *powers = aligned_words(n);
    double *made = aligned_words(tail_start(n) + n);
    if (powers == NULL || made == NULL) {
        aligned_free(powers);
        aligned_free(made);
        return NULL;
    }
    bit_reversed_powers(m, psi, powers);
    for (size_t k = 0; k < tail_start(n); k++) {
        made[k] = k < blocks ? centred_double(powers[k], m->q) : 0;
    }
    for (size_t b = 0; b < blocks; b++) {
        double *tail = made + tail_start(n) + 16 * b;
        const size_t k = blocks + b;
        tail[0] = centred_double(powers[k], m->q);
        tail[1] = centred_double(powers[2 * k], m->q);
        tail[2] = centred_double(powers[2 * k + 1], m->q);
        tail[3] = 0;
        for (size_t i = 0; i < 4; i++) {
            tail[4 + i] = centred_double(powers[4 * k + i], m->q);
            tail[8 + i] = centred_double(powers[2 * (4 * k + i)], m->q);
            tail[12 + i] = centred_double(powers[2 * (4 * k + i) + 1], m->q);
        }
    }
    aligned_free(powers);
    return made;
}

int avx2_prepare(modulus *m, uint64_t psi) {
    const uint64_t psi_inverse = inverse_root(m, psi);
    double *inverse = m->inverse = twiddles(m, psi_inverse);
    m->forward = twiddles(m, psi);
    if (m->forward == NULL || inverse == NULL) {
        return 0;
    }
    /* Slot 0 is free: W[0] = 1 is no node's twiddle. W[1] = psi^(-n/2) is used in the last pass only. */
    uint64_t power = psi_inverse;
    for (unsigned i = 1; i < m->log_n; i++) {
        power = mul_mod(m, power, power);
    }
    inverse[0] = centred_double(m->n_inverse, m->q);
    inverse[1] = centred_double(mul_mod(m, power, m->n_inverse), m->q);
    plan_reductions(m);
    return 1;
}
#endif
