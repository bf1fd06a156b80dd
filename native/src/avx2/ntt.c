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
} table;

static size_t tail_start(size_t n) {
    return (n / 16 + 7) / 8 * 8;
}

AVX2_INLINE table table_of(const void *words, size_t n) {
    const double *head = words;
    return (table){head, head + tail_start(n)};
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
        CHECK(bound < 0x1p50 && bound < 0x1p50);
        difference = 2 * bound, spread = sum = 4 * bound;
    }
}

/* ---- the forward transform ---- */

/* 4 x 4 transpose that takes rows 0..3 to lanes 0, 2, 1, 3: its inverse takes the lanes back. */
AVX2_INLINE void transpose(vec *a0, vec *a1, vec *a2, vec *a3) {
    vec b0 = _mm256_unpacklo_pd(*a0, *a1), b1 = _mm256_unpackhi_pd(*a0, *a1);
    vec b2 = _mm256_unpacklo_pd(*a2, *a3), b3 = _mm256_unpackhi_pd(*a2, *a3);
    *a0 = _mm256_permute2f128_pd(b0, b2, 0x20);
    *a1 = _mm256_permute2f128_pd(b1, b3, 0x20);
    *a2 = _mm256_permute2f128_pd(b0, b2, 0x31);
    *a3 = _mm256_permute2f128_pd(b1, b3, 0x31);
}

/* Read four vectors of quarters t apart, and write them back; a row of words is read as such. */
AVX2_INLINE vec get(const double *a, const uint64_t *words, size_t j) {
    return words ? load_words(words + j) : _mm256_loadu_pd(a + j);
}

AVX2_INLINE void forward_pass(double *a, const uint64_t *words, size_t t, vec w1, vec w2, vec w3, const field *f,
                              int reducing) {
    for (size_t j = 0; j < t; j += 4) {
        vec a0 = get(a, words, j), a1 = get(a, words, j + t), a2 = get(a, words, j + 2 * t),
            a3 = get(a, words, j + 3 * t);
        forward4(&a0, &a1, &a2, &a3, w1, w2, w3, f, reducing);
        _mm256_storeu_pd(a + j, a0);
        _mm256_storeu_pd(a + j + t, a1);
        _mm256_storeu_pd(a + j + 2 * t, a2);
        _mm256_storeu_pd(a + j + 3 * t, a3);
    }
}

/* The last four layers of one block of 16, to words. */
AVX2_INLINE void forward_tail(double *a, const double *w, const field *f, int reduce_first, int reduce_second) {
    vec a0 = _mm256_loadu_pd(a), a1 = _mm256_loadu_pd(a + 4), a2 = _mm256_loadu_pd(a + 8),
        a3 = _mm256_loadu_pd(a + 12);
    forward4(&a0, &a1, &a2, &a3, _mm256_broadcast_sd(w), _mm256_broadcast_sd(w + 1), _mm256_broadcast_sd(w + 2), f,
             reduce_first);
    transpose(&a0, &a1, &a2, &a3);
    forward4(&a0, &a1, &a2, &a3, _mm256_loadu_pd(w + 4), _mm256_loadu_pd(w + 8), _mm256_loadu_pd(w + 12), f,
             reduce_second);
    transpose(&a0, &a1, &a2, &a3);
    uint64_t *out = (uint64_t *)a;
    store_words(out, reduce(a0, f), f);
    store_words(out + 4, reduce(a1, f), f);
    store_words(out + 8, reduce(a2, f), f);
    store_words(out + 12, reduce(a3, f), f);
}

/* What the recursion carries along: the tables, and one bit per pass still to come. */
typedef struct {
    table w;
    size_t first_tail_node; /* n/16 */
    field f;
} transform;

AVX2 static void forward_node(const transform *s, double *a, const uint64_t *words, size_t size, size_t node,
                              uint32_t reducing) {
    const field f = s->f;
    const vec w1 = _mm256_broadcast_sd(s->w.head + node), w2 = _mm256_broadcast_sd(s->w.head + 2 * node),
              w3 = _mm256_broadcast_sd(s->w.head + 2 * node + 1);
    const size_t t = size / 4;
    if (words != NULL) {
        if (reducing & 1) {
            forward_pass(a, words, t, w1, w2, w3, &f, 1);
        } else {
            forward_pass(a, words, t, w1, w2, w3, &f, 0);
        }
    } else if (reducing & 1) {
        forward_pass(a, NULL, t, w1, w2, w3, &f, 1);
    } else {
        forward_pass(a, NULL, t, w1, w2, w3, &f, 0);
    }
    if (t > 16) {
        for (size_t i = 0; i < 4; i++) {
            forward_node(s, a + i * t, NULL, t, 4 * node + i, reducing >> 1);
        }
        return;
    }
    const double *tail = s->w.tail + 16 * (4 * node - s->first_tail_node);
    for (size_t i = 0; i < 4; i++) {
        forward_tail(a + 16 * i, tail + 16 * i, &f, 1, 1);
    }
}
#endif
