/*
 * The negacyclic NTT for every prime below 2^61: Harvey's lazy butterflies ([Har12, Alg. 4 and 5]) on Shoup operands,
 * two layers a pass.
 *
 * Node k = m + i (block i of the layer with m blocks) splits its block with the twiddle W[k] = psi^brv(k); its
 * halves are the nodes 2k and 2k + 1 of the next layer. Tables: twiddle k at words 2k (value) and 2k + 1 (Shoup
 * quotient), 2n words for each direction.
 */
#include <string.h>

#include "modarith.h"

/* (x, y) in [0, 4q)^2 -> (x + w y, x - w y) in [0, 4q)^2; 4q < 2^63.  x mod 2q < 2q, w y < 2q. */
CKKS_INLINE void forward_butterfly(uint64_t *x, uint64_t *y, const uint64_t *w, uint64_t q) {
    CHECK(*x < 4 * q && *y < 4 * q);
    uint64_t u = subtract_once(*x, 2 * q);
    uint64_t v = mul_shoup_lazy(*y, w[0], w[1], q);
    *x = u + v;
    *y = u - v + 2 * q;
}

/* (x, y) in [0, 2q)^2 -> (x + y, w (x - y)) in [0, 2q)^2; the difference enters as x - y + 2q in (0, 4q). */
CKKS_INLINE void inverse_butterfly(uint64_t *x, uint64_t *y, const uint64_t *w, uint64_t q) {
    CHECK(*x < 2 * q && *y < 2 * q);
    uint64_t u = *x, v = *y;
    *x = subtract_once(u + v, 2 * q);
    *y = mul_shoup_lazy(u - v + 2 * q, w[0], w[1], q);
}

void portable_ntt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const uint64_t q = m->q, *w = m->forward;
    const size_t n = m->n;
    if (x != out) {
        memcpy(out, x, n * sizeof *out);
    }
    size_t blocks = 1;
    if (m->log_n % 2) { /* one layer by itself, so that the rest comes in pairs */
        for (size_t j = 0; j < n / 2; j++) {
            forward_butterfly(&out[j], &out[j + n / 2], &w[2], q);
        }
        blocks = 2;
    }
    for (; blocks < n; blocks *= 4) {
        const size_t t = n / (4 * blocks);
        for (size_t i = 0; i < blocks; i++) {
            const uint64_t *w1 = &w[2 * (blocks + i)], *w2 = &w[4 * (blocks + i)], *w3 = w2 + 2;
            uint64_t *a = &out[4 * t * i];
            for (size_t j = 0; j < t; j++) {
                uint64_t a0 = a[j], a1 = a[j + t], a2 = a[j + 2 * t], a3 = a[j + 3 * t];
                forward_butterfly(&a0, &a2, w1, q);
                forward_butterfly(&a1, &a3, w1, q);
                forward_butterfly(&a0, &a1, w2, q);
                forward_butterfly(&a2, &a3, w3, q);
                a[j] = a0, a[j + t] = a1, a[j + 2 * t] = a2, a[j + 3 * t] = a3;
            }
        }
    }
    for (size_t j = 0; j < n; j++) {
        out[j] = subtract_once(subtract_once(out[j], 2 * q), q);
    }
}

void portable_intt(const modulus *m, const uint64_t *x, uint64_t *out) {
    const uint64_t q = m->q, *w = m->inverse;
    const size_t n = m->n;
    if (x != out) {
        memcpy(out, x, n * sizeof *out);
    }
    size_t blocks = n / 4;
    for (; blocks > 1; blocks /= 4) {
        const size_t t = n / (4 * blocks);
        for (size_t i = 0; i < blocks; i++) {
            const uint64_t *w1 = &w[2 * (blocks + i)], *w2 = &w[4 * (blocks + i)], *w3 = w2 + 2;
            uint64_t *a = &out[4 * t * i];
            for (size_t j = 0; j < t; j++) {
                uint64_t a0 = a[j], a1 = a[j + t], a2 = a[j + 2 * t], a3 = a[j + 3 * t];
                inverse_butterfly(&a0, &a1, w2, q);
                inverse_butterfly(&a2, &a3, w3, q);
                inverse_butterfly(&a0, &a2, w1, q);
                inverse_butterfly(&a1, &a3, w1, q);
                a[j] = a0, a[j + t] = a1, a[j + 2 * t] = a2, a[j + 3 * t] = a3;
            }
        }
    }
    if (blocks == 1) { /* log n even: layer 2 is left beside layer 1 */
        for (size_t i = 0; i < 2; i++) {
            uint64_t *a = &out[i * n / 2];
            for (size_t j = 0; j < n / 4; j++) {
                inverse_butterfly(&a[j], &a[j + n / 4], &w[2 * (2 + i)], q);
            }
        }
    }
    /* Layer 1 with 1/n on both branches: n^-1 (x + y) and (W[1] n^-1) (x - y); inputs in [0, 2q). */
    for (size_t j = 0; j < n / 2; j++) {
        uint64_t u = out[j], v = out[j + n / 2];
        CHECK(u < 2 * q && v < 2 * q);
        out[j] = subtract_once(mul_shoup_lazy(u + v, m->n_inverse, m->n_inverse_shoup, q), q);
        out[j + n / 2] = subtract_once(mul_shoup_lazy(u - v + 2 * q, w[2], w[3], q), q);
    }
}

static uint64_t *shoup_table(const modulus *m, uint64_t psi) {
    uint64_t *table = aligned_words(2 * m->n);
    if (table != NULL) {
        bit_reversed_powers(m, psi, table);
        for (size_t k = m->n; k-- > 0;) { /* spread from the end: entry k moves to 2k */
            uint64_t w = table[k];
            table[2 * k] = w;
            table[2 * k + 1] = shoup(w, m->q);
        }
    }
    return table;
}

int portable_prepare(modulus *m, uint64_t psi) {
    uint64_t *inverse = m->inverse = shoup_table(m, inverse_root(m, psi));
    m->forward = shoup_table(m, psi);
    if (m->forward == NULL || inverse == NULL) {
        return 0;
    }
    inverse[2] = mul_mod(m, inverse[2], m->n_inverse);
    inverse[3] = shoup(inverse[2], m->q);
    return 1;
}
