/*
 * The negacyclic NTT for primes below 2^50 on 52-bit multiply-add: Harvey's lazy butterflies ([Har12, Alg. 4 and 5]) on
 * Shoup operands of base 2^52, eight words to a vector, two layers a pass, depth first.
 *
 * Node k of the tree is a block whose twiddle is W[k] = psi^brv(k); its halves are nodes 2k and 2k+1. The last six
 * layers stay in registers: blocks of 64 as eight vectors, three layers between vectors, an 8 x 8 transpose, three
 * layers again with a twiddle per lane, and the transpose back. When log n is odd, the first pass takes one layer.
 *
 * Ranges: forward [0, 4q), inverse [0, 2q) between layers; 4q < 2^52, so that every value is a factor that the
 * multiply-add reads in full.
 */
#include "avx512/avx512.h"

#if CKKS_IFMA
#include "avx512/transform.h"
#include "avx512/twiddles.h"

AVX512_INLINE twiddle broadcast_twiddle(const uint64_t *w, size_t to_quotient) {
    return (twiddle){broadcast(w[0]), broadcast(w[to_quotient])};
}

AVX512_INLINE twiddle load_twiddle(const uint64_t *w) {
    return (twiddle){load(w), load(w + 8)};
}

/* ---- butterflies ---- */

/* (x, y) in [0, 4q)^2 -> (x + w y, x - w y) in [0, 4q)^2 */
AVX512_INLINE void forward2(vec *x, vec *y, twiddle w, const field *f) {
    vec u = subtract_bound(*x, f->q2), v = mul_lazy(*y, w, f);
    *x = add(u, v);
    *y = add(subtract(u, v), f->q2);
}

/* (x, y) in [0, 2q)^2 -> (x + y, w (x - y)) in [0, 2q)^2; the difference enters as x - y + 2q in (0, 4q) */
AVX512_INLINE void inverse2(vec *x, vec *y, twiddle w, const field *f) {
    vec u = *x, v = *y;
    *x = subtract_bound(add(u, v), f->q2);
    *y = mul_lazy(add(subtract(u, v), f->q2), w, f);
}

AVX512_INLINE void forward4(vec a[4], twiddle w1, twiddle w2, twiddle w3, const field *f) {
    forward2(&a[0], &a[2], w1, f), forward2(&a[1], &a[3], w1, f);
    forward2(&a[0], &a[1], w2, f), forward2(&a[2], &a[3], w3, f);
}

AVX512_INLINE void inverse4(vec a[4], twiddle w1, twiddle w2, twiddle w3, const field *f) {
    inverse2(&a[0], &a[1], w2, f), inverse2(&a[2], &a[3], w3, f);
    inverse2(&a[0], &a[2], w1, f), inverse2(&a[1], &a[3], w1, f);
}

/* Three layers between eight vectors: nodes K; 2K, 2K+1; 4K .. 4K+3. */
AVX512_INLINE void forward8(vec a[8], const twiddle w[7], const field *f) {
    for (int i = 0; i < 4; i++) {
        forward2(&a[i], &a[i + 4], w[0], f);
    }
    for (int i = 0; i < 2; i++) {
        forward2(&a[i], &a[i + 2], w[1], f), forward2(&a[i + 4], &a[i + 6], w[2], f);
    }
    for (int i = 0; i < 4; i++) {
        forward2(&a[2 * i], &a[2 * i + 1], w[3 + i], f);
    }
}

AVX512_INLINE void inverse8(vec a[8], const twiddle w[7], const field *f) {
    for (int i = 0; i < 4; i++) {
        inverse2(&a[2 * i], &a[2 * i + 1], w[3 + i], f);
    }
    for (int i = 0; i < 2; i++) {
        inverse2(&a[i], &a[i + 2], w[1], f), inverse2(&a[i + 4], &a[i + 6], w[2], f);
    }
    for (int i = 0; i < 4; i++) {
        inverse2(&a[i], &a[i + 4], w[0], f);
    }
}

/* 8 x 8, its own inverse: single words, then pairs, then pairs of pairs. */
AVX512_INLINE void transpose(vec a[8]) {
    vec even[4], odd[4];
    for (int i = 0; i < 4; i++) {
        even[i] = interleave_even(a[2 * i], a[2 * i + 1]);
        odd[i] = interleave_odd(a[2 * i], a[2 * i + 1]);
    }
    vec e0 = PAIRS(even[0], even[1], 0, 1, 0, 1), e1 = PAIRS(even[2], even[3], 0, 1, 0, 1);
    vec e2 = PAIRS(even[0], even[1], 2, 3, 2, 3), e3 = PAIRS(even[2], even[3], 2, 3, 2, 3);
    vec o0 = PAIRS(odd[0], odd[1], 0, 1, 0, 1), o1 = PAIRS(odd[2], odd[3], 0, 1, 0, 1);
    vec o2 = PAIRS(odd[0], odd[1], 2, 3, 2, 3), o3 = PAIRS(odd[2], odd[3], 2, 3, 2, 3);
    a[0] = PAIRS(e0, e1, 0, 2, 0, 2), a[2] = PAIRS(e0, e1, 1, 3, 1, 3);
    a[4] = PAIRS(e2, e3, 0, 2, 0, 2), a[6] = PAIRS(e2, e3, 1, 3, 1, 3);
    a[1] = PAIRS(o0, o1, 0, 2, 0, 2), a[3] = PAIRS(o0, o1, 1, 3, 1, 3);
    a[5] = PAIRS(o2, o3, 0, 2, 0, 2), a[7] = PAIRS(o2, o3, 1, 3, 1, 3);
}

AVX512_INLINE void load8(vec a[8], const uint64_t *x) {
    for (int i = 0; i < 8; i++) {
        a[i] = load(x + 8 * i);
    }
}

AVX512_INLINE void tail_twiddles(twiddle between[7], twiddle within[7], const uint64_t *w) {
    for (int i = 0; i < 7; i++) {
        between[i] = broadcast_twiddle(w + i, 8);
        within[i] = load_twiddle(w + 16 + 16 * i);
    }
}

/* ---- forward ---- */

/* The last six layers of `count` blocks of 64, whose values in [0, 4q) then go where `to` says; a is place `at`. */
AVX512_INLINE void tails(uint64_t *a, size_t at, const uint64_t *w, size_t count, const field *f, const sink *to,
                         int kind) {
    for (; count > 0; count--, a += 64, at += 64, w += TAIL_WORDS) {
        vec v[8];
        twiddle between[7], within[7];
        tail_twiddles(between, within, w);
        load8(v, a);
        forward8(v, between, f);
        transpose(v);
        forward8(v, within, f);
        transpose(v);
        for (size_t i = 0; i < 8; i++) {
            emit(v[i], at + 8 * i, to, kind, f);
        }
    }
}

AVX512 static void forward_tails(uint64_t *a, size_t at, const uint64_t *w, size_t count, const field f, const sink *to) {
    switch (to->kind) {
    case TO_WORDS: tails(a, at, w, count, &f, to, TO_WORDS); break;
    case TO_SUMS: tails(a, at, w, count, &f, to, TO_SUMS); break;
    default: tails(a, at, w, count, &f, to, TO_RESULT);
    }
}

/* Node k, the block of 4t words at place `at`, read from x: one pass into a, then its quarters. */
AVX512 static void forward_node(const table *w, const uint64_t *x, uint64_t *a, size_t at, size_t t, size_t k,
                                const field f, const sink *to) {
    const twiddle w1 = broadcast_twiddle(w->head + 2 * k, 1), w2 = broadcast_twiddle(w->head + 4 * k, 1),
                  w3 = broadcast_twiddle(w->head + 4 * k + 2, 1);
    for (size_t j = 0; j < t; j += 8) {
        vec v[4] = {load(x + j), load(x + j + t), load(x + j + 2 * t), load(x + j + 3 * t)};
        forward4(v, w1, w2, w3, &f);
        store(a + j, v[0]), store(a + j + t, v[1]), store(a + j + 2 * t, v[2]), store(a + j + 3 * t, v[3]);
    }
    if (t == 64) {
        forward_tails(a, at, w->tail + TAIL_WORDS * (4 * k - w->blocks), 4, f, to);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        forward_node(w, a + i * t, a + i * t, at + i * t, t / 4, 4 * k + i, f, to);
    }
}

AVX512 void ifma_ntt(const modulus *m, const uint64_t *x, uint64_t *out) {
    ifma_ntt_to(m, x, out, &(sink){.kind = TO_WORDS, .out = out});
}

AVX512 void ifma_ntt_to(const modulus *m, const uint64_t *x, uint64_t *row, const sink *to) {
    const table w = table_of(m->forward, m->n);
    const field f = field_of(m);
    const size_t n = m->n;
    if (n == 64) {
        if (x != row) {
            for (size_t j = 0; j < n; j++) {
                row[j] = x[j];
            }
        }
        forward_tails(row, 0, w.tail, 1, f, to);
        return;
    }
    if (m->log_n % 2 == 0) {
        forward_node(&w, x, row, 0, n / 4, 1, f, to);
        return;
    }
    const twiddle w1 = broadcast_twiddle(w.head + 2, 1);
    for (size_t j = 0; j < n / 2; j += 8) {
        vec u = load(x + j), v = load(x + j + n / 2);
        forward2(&u, &v, w1, &f);
        store(row + j, u), store(row + j + n / 2, v);
    }
    if (n == 128) {
        forward_tails(row, 0, w.tail, 2, f, to);
        return;
    }
    forward_node(&w, row, row, 0, n / 8, 2, f, to);
    forward_node(&w, row + n / 2, row + n / 2, n / 2, n / 8, 3, f, to);
}

/* ---- inverse ---- */

/* The first six layers of `count` blocks of 64, from x to a. */
AVX512 static void inverse_tails(const uint64_t *x, uint64_t *a, const uint64_t *w, size_t count, const field f) {
    for (; count > 0; count--, x += 64, a += 64, w += TAIL_WORDS) {
        vec v[8];
        twiddle between[7], within[7];
        tail_twiddles(between, within, w);
        load8(v, x);
        transpose(v);
        inverse8(v, within, &f);
        transpose(v);
        inverse8(v, between, &f);
        for (int i = 0; i < 8; i++) {
            store(a + 8 * i, v[i]);
        }
    }
}

/* The quarters of node k, of t words each, from x to a. */
AVX512 static void inverse_quarters(const table *w, const uint64_t *x, uint64_t *a, size_t t, size_t k,
                                    const field f);

/* Node k, a block of 4t words: its quarters from x to a, then the pass that joins them. */
AVX512 static void inverse_node(const table *w, const uint64_t *x, uint64_t *a, size_t t, size_t k, const field f) {
    inverse_quarters(w, x, a, t, k, f);
    const twiddle w1 = broadcast_twiddle(w->head + 2 * k, 1), w2 = broadcast_twiddle(w->head + 4 * k, 1),
                  w3 = broadcast_twiddle(w->head + 4 * k + 2, 1);
    for (size_t j = 0; j < t; j += 8) {
        vec v[4] = {load(a + j), load(a + j + t), load(a + j + 2 * t), load(a + j + 3 * t)};
        inverse4(v, w1, w2, w3, &f);
        store(a + j, v[0]), store(a + j + t, v[1]), store(a + j + 2 * t, v[2]), store(a + j + 3 * t, v[3]);
    }
}

AVX512 static void inverse_quarters(const table *w, const uint64_t *x, uint64_t *a, size_t t, size_t k,
                                    const field f) {
    if (t == 64) {
        inverse_tails(x, a, w->tail + TAIL_WORDS * (4 * k - w->blocks), 4, f);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        inverse_node(w, x + i * t, a + i * t, t / 4, 4 * k + i, f);
    }
}

/*
 * The factor 1/n goes into the last layer: n^-1 (x + y) and (W[1] n^-1) (x - y), for x, y in [0, 2q), so every word
 * leaves as a product in [0, 2q) and needs one subtraction. Head slot 0 holds n^-1, slot 1 W[1] n^-1.
 */
AVX512_INLINE void last_layer(vec *x, vec *y, twiddle scale, twiddle w1, const field *f) {
    vec sum = add(*x, *y), difference = add(subtract(*x, *y), f->q2);
    *x = subtract_bound(mul_lazy(sum, scale, f), f->q);
    *y = subtract_bound(mul_lazy(difference, w1, f), f->q);
}

AVX512 void ifma_intt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const table w = table_of(m->inverse, m->n);
    const field f = field_of(m);
    const size_t n = m->n;
    const twiddle scale = broadcast_twiddle(w.head, 1), w1 = broadcast_twiddle(w.head + 2, 1);
    if (n == 64) { /* its last layer has W[1] 1: only the factor is missing */
        inverse_tails(x, out, w.tail, 1, f);
        for (size_t j = 0; j < n; j += 8) {
            store(out + j, subtract_bound(mul_lazy(load(out + j), scale, &f), f.q));
        }
        return;
    }
    if (m->log_n % 2 == 0) {
        const size_t t = n / 4;
        const twiddle w2 = broadcast_twiddle(w.head + 4, 1), w3 = broadcast_twiddle(w.head + 6, 1);
        inverse_quarters(&w, x, out, t, 1, f);
        for (size_t j = 0; j < t; j += 8) {
            vec v[4] = {load(out + j), load(out + j + t), load(out + j + 2 * t), load(out + j + 3 * t)};
            inverse2(&v[0], &v[1], w2, &f), inverse2(&v[2], &v[3], w3, &f);
            last_layer(&v[0], &v[2], scale, w1, &f), last_layer(&v[1], &v[3], scale, w1, &f);
            store(out + j, v[0]), store(out + j + t, v[1]), store(out + j + 2 * t, v[2]);
            store(out + j + 3 * t, v[3]);
        }
        return;
    }
    if (n == 128) {
        inverse_tails(x, out, w.tail, 2, f);
    } else {
        inverse_node(&w, x, out, n / 8, 2, f);
        inverse_node(&w, x + n / 2, out + n / 2, n / 8, 3, f);
    }
    for (size_t j = 0; j < n / 2; j += 8) {
        vec u = load(out + j), v = load(out + j + n / 2);
        last_layer(&u, &v, scale, w1, &f);
        store(out + j, u), store(out + j + n / 2, v);
    }
}
#endif
