/*
 * Building and freeing the tables of one modulus and of one base conversion. Everything here is public data, so
 * divisions and branches are free to depend on it.
 */
#include <stdlib.h>
#include <string.h>

#include "portable/modarith.h"

/* Blocks on a 64-byte boundary: a cache line, and an AVX-512 vector. The word before them holds malloc's address. */
void *aligned_words(size_t words) {
    if (words > (SIZE_MAX - 128) / 8) {
        return NULL;
    }
    char *raw = malloc(words * 8 + 128);
    if (raw == NULL) {
        return NULL;
    }
    char *block = raw + 128 - (uintptr_t)raw % 64;
    memcpy(block - sizeof raw, &raw, sizeof raw);
    return block;
}

void aligned_free(void *block) {
    if (block != NULL) {
        char *raw;
        memcpy(&raw, (char *)block - sizeof raw, sizeof raw);
        free(raw);
    }
}

static uint64_t power(const modulus *m, uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) {
            result = mul_mod(m, result, base);
        }
        base = mul_mod(m, base, base);
    }
    return result;
}

/* psi^(2n-1): the other direction of a root of order 2n. */
uint64_t inverse_root(const modulus *m, uint64_t psi) {
    return power(m, psi, 2 * (uint64_t)m->n - 1);
}

void bit_reversed_powers(const modulus *m, uint64_t psi, uint64_t *powers) {
    uint64_t value = 1;
    size_t reversed = 0;
    for (size_t i = 0; i < m->n; i++) {
        powers[reversed] = value;
        value = mul_mod(m, value, psi);
        /* Add one to i in reversed bit order: carry runs downwards. */
        size_t bit = m->n >> 1;
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
    }
}

/* floor(w 2^52 / q) for w in [0, q). */
static uint64_t shoup52(uint64_t w, uint64_t q) {
    return (uint64_t)(((u128)w << 52) / q);
}

modulus *ckks_modulus_new(int variant, size_t n, uint64_t q, uint64_t psi) {
    if (q < 3 || q >> 61 || q % 2 == 0 || n < 8 || n > (size_t)1 << 17 || (n & (n - 1)) || psi >= q ||
        !ckks_variant_compiled(variant)) {
        return NULL;
    }
    modulus *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->n = n;
    while (n >> m->log_n > 1) {
        m->log_n++;
    }
    m->q = q;
    while (q >> m->bits) {
        m->bits++;
    }
    m->product_quotient = (uint64_t)(((u128)1 << (m->bits + 62)) / q);
    m->word_quotient = (uint64_t)(((u128)1 << 64) / q);
    m->word = (uint64_t)(((u128)1 << 64) % q);
    m->word_shoup = shoup(m->word, q);
    m->two52 = ((uint64_t)1 << 52) % q;
    if (q < FAST_LIMIT) {
        m->fp = (double)q;
        m->fp_inverse = 1.0 / (double)q;
        m->two51 = centred_double(((uint64_t)1 << 51) % q, q);
        m->two82 = (uint64_t)(((u128)1 << 82) % q);
        m->one_shoup52 = shoup52(1, q);
        m->two52_shoup52 = shoup52(m->two52, q);
        m->two82_shoup52 = shoup52(m->two82, q);
    }
    m->rows = choose_rows(variant, m->n, q);
    if (psi != 0) {
        if (power(m, psi, m->n) != q - 1) { /* not of order 2n */
            ckks_modulus_free(m);
            return NULL;
        }
        /* n^-1 = -(q-1)/n, since n times it is 1 - q; n divides q-1 because a root of order 2n exists. */
        m->n_inverse = q - (q - 1) / m->n;
        m->n_inverse_shoup = shoup(m->n_inverse, q);
        if (!m->rows->prepare(m, psi)) {
            ckks_modulus_free(m);
            return NULL;
        }
    }
    return m;
}

void ckks_modulus_free(modulus *m) {
    if (m != NULL) {
        aligned_free(m->forward);
        aligned_free(m->inverse);
        free(m);
    }
}

const char *ckks_modulus_rows(const modulus *m) {
    return m->rows->name;
}

static uint64_t *copied(const uint64_t *words, size_t count) {
    uint64_t *copy = malloc(count * sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, words, count * sizeof *copy);
    }
    return copy;
}

/* Constants only: no root, and the least row length, which nothing reads. */
static modulus **constants(int variant, const uint64_t *moduli, size_t count) {
    modulus **list = calloc(count, sizeof *list);
    for (size_t i = 0; list != NULL && i < count; i++) {
        list[i] = ckks_modulus_new(variant, 8, moduli[i], 0);
    }
    return list;
}

static int all_made(modulus *const *list, size_t count) {
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (list[i] == NULL) {
            return 0;
        }
    }
    return list != NULL;
}

conversion *ckks_conversion_new(int variant, size_t a, size_t b, const uint64_t *source, const uint64_t *target,
                                const uint64_t *punctured_inverse, const uint64_t *punctured,
                                const uint64_t *product, const uint64_t *reciprocal, uint64_t offset) {
    if (a < 1 || a > 1024 || b < 1 || b > SIZE_MAX / 16 / a) {
        return NULL;
    }
    conversion *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->a = a;
    c->b = b;
    c->offset = offset;
    c->source = constants(variant, source, a);
    c->target = constants(variant, target, b);
    c->punctured_inverse = copied(punctured_inverse, a);
    c->punctured = copied(punctured, a * b);
    c->product = copied(product, b);
    c->reciprocal = copied(reciprocal, a);
    if (!all_made(c->source, a) || !all_made(c->target, b) || !c->punctured_inverse || !c->punctured ||
        !c->product || !c->reciprocal) {
        ckks_conversion_free(c);
        return NULL;
    }
    choose_convert(variant, c);
    return c;
}

static void free_list(modulus **list, size_t count) {
    for (size_t i = 0; list != NULL && i < count; i++) {
        ckks_modulus_free(list[i]);
    }
    free(list);
}

void ckks_conversion_free(conversion *c) {
    if (c != NULL) {
        free_list(c->source, c->a);
        free_list(c->target, c->b);
        free(c->punctured_inverse);
        free(c->punctured);
        free(c->product);
        free(c->reciprocal);
        free(c);
    }
}
