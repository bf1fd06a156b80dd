/*
 * Twiddle tables of the AVX-512-IFMA transforms: Shoup operands of base 2^52.
 */
#include "avx512/avx512.h"

#if CKKS_IFMA
#include "avx512/twiddles.h"
#include "portable/modarith.h"

static uint64_t quotient52(uint64_t w, uint64_t q) {
    return (uint64_t)(((u128)w << 52) / q);
}

/* A value and, a vector further, its quotient. */
static void put(uint64_t *at, uint64_t w, uint64_t q) {
    at[0] = w;
    at[8] = quotient52(w, q);
}

static uint64_t *twiddles(const modulus *m, uint64_t psi) {
    const size_t n = m->n, blocks = n / 64;
    uint64_t *w = aligned_words(n), *made = aligned_words(tail_start(n) + TAIL_WORDS * blocks);
    if (w == NULL || made == NULL) {
        aligned_free(w);
        aligned_free(made);
        return NULL;
    }
    bit_reversed_powers(m, psi, w);
    for (size_t k = 0; 2 * k < tail_start(n); k++) {
        made[2 * k] = k < blocks ? w[k] : 0;
        made[2 * k + 1] = quotient52(made[2 * k], m->q);
    }
    for (size_t b = 0; b < blocks; b++) {
        static const struct { unsigned char scale, offset; } layers[7] = {{1, 0}, {2, 0}, {2, 1}, {4, 0},
                                                                         {4, 1}, {4, 2}, {4, 3}};
        const size_t k = blocks + b;
        uint64_t *tail = made + tail_start(n) + TAIL_WORDS * b;
        put(tail + 7, 0, m->q);
        for (size_t j = 0; j < 7; j++) {
            put(tail + j, w[layers[j].scale * k + layers[j].offset], m->q);
            for (size_t i = 0; i < 8; i++) {
                put(tail + 16 + 16 * j + i, w[layers[j].scale * (8 * k + i) + layers[j].offset], m->q);
            }
        }
    }
    aligned_free(w);
    return made;
}

int ifma_prepare(modulus *m, uint64_t psi) {
    const uint64_t psi_inverse = inverse_root(m, psi);
    uint64_t *inverse = m->inverse = twiddles(m, psi_inverse);
    m->forward = twiddles(m, psi);
    if (m->forward == NULL || inverse == NULL) {
        return 0;
    }
    if (m->n > 64) { /* slot 1 is read by the last layer only; for n = 64 that layer has its twiddle in the tail */
        inverse[2] = mul_mod(m, inverse[2], m->n_inverse);
        inverse[3] = quotient52(inverse[2], m->q);
    }
    inverse[0] = m->n_inverse;
    inverse[1] = quotient52(m->n_inverse, m->q);
    return 1;
}
#endif
