/*
 * Lifting (lift.h) for every prime below 2^61. Rows of work and scratch are words, sums are reduced.
 */
#include "lift.h"
#include "portable/modarith.h"

static void split(const conversion *c, modulus *const *m, const uint64_t *x, size_t many, const uint64_t *rest,
                  ptrdiff_t limb, const uint64_t *factor, ptrdiff_t factor_limb, uint64_t *work) {
    const size_t n = m[0]->n, apart = row_words(n);
    for (size_t j = 0; j < n; j++) {
        work[j] = c->offset;
    }
    for (size_t i = 0; i < c->a; i++) {
        const uint64_t *values = i < many ? x + (ptrdiff_t)i * limb : rest + (ptrdiff_t)(i - many) * limb;
        uint64_t *y = work + (i + 1) * apart;
        if (factor == NULL) {
            m[i]->rows->intt(m[i], values, y);
        } else {
            m[i]->rows->mul(m[i], n, values, factor + (ptrdiff_t)i * factor_limb, y);
            m[i]->rows->intt(m[i], y, y);
        }
        for (size_t j = 0; j < n; j++) {
            y[j] = mul_mod(c->source[i], y[j], c->punctured_inverse[i]);
            work[j] += overflow_fraction(c->source[i], y[j], c->reciprocal[i]);
        }
    }
    for (size_t j = 0; j < n; j++) {
        work[j] >>= 51;
        CHECK(work[j] <= c->a);
    }
}

static void begin(const modulus *m, const uint64_t *const addend[2], uint64_t weight, uint64_t *const sum[2]) {
    for (size_t p = 0; p < 2; p++) {
        if (addend[p] != NULL) {
            m->rows->mul_scalar(m, m->n, addend[p], weight, sum[p]);
        } else {
            for (size_t j = 0; j < m->n; j++) {
                sum[p][j] = 0;
            }
        }
    }
}

static void begin_product(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2], uint64_t weight,
                          uint64_t *const sum[2]) {
    for (size_t j = 0; j < m->n; j++) {
        const uint64_t u0 = x[0][j], u1 = x[1][j], v0 = y[0][j], v1 = y[1][j];
        sum[0][j] = mul_mod(m, mul_mod(m, u0, v0), weight);
        sum[1][j] = mul_mod(m, reduce_sum(m, (u128)u0 * v1 + (u128)u1 * v0), weight);
    }
}

static void add_words(const modulus *m, const uint64_t *x, const uint64_t *factor, const uint64_t *const key[2],
                      size_t added, uint64_t *const sum[2]) {
    (void)added;
    for (size_t j = 0; j < m->n; j++) {
        const uint64_t v = factor == NULL ? x[j] : mul_mod(m, x[j], factor[j]);
        sum[0][j] = reduce_sum(m, (u128)v * key[0][j] + sum[0][j]);
        sum[1][j] = reduce_sum(m, (u128)v * key[1][j] + sum[1][j]);
    }
}

static void add_lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work,
                       const uint64_t *const key[2], size_t added, uint64_t *row, uint64_t *const sum[2]) {
    const size_t apart = row_words(m->n);
    portable_combine(c, j, m->n, work + apart, apart, work, row);
    m->rows->ntt(m, row, row);
    add_words(m, row, NULL, key, added, sum);
}

static void add_small(const modulus *m, const int32_t *y, const uint64_t *const key[2], size_t added, uint64_t *row,
                      uint64_t *const sum[2]) {
    for (size_t j = 0; j < m->n; j++) {
        row[j] = signed_word(m, y[j]);
    }
    m->rows->ntt(m, row, row);
    add_words(m, row, NULL, key, added, sum);
}

static void lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work, uint64_t *out) {
    const size_t apart = row_words(m->n);
    portable_combine(c, j, m->n, work + apart, apart, work, out);
    m->rows->ntt(m, out, out);
}

static void add_sums(const modulus *m, uint64_t *const sum[2], const uint64_t *factor, size_t added,
                     uint64_t *const total[2]) {
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < m->n; i++) {
            const uint64_t v = factor == NULL ? sum[p][i] : mul_mod(m, sum[p][i], factor[i]);
            total[p][i] = added == 0 ? v : add_mod(m, total[p][i], v);
        }
    }
}

static void store(const modulus *m, const uint64_t *sum, uint64_t *out) {
    for (size_t j = 0; j < m->n; j++) {
        out[j] = sum[j];
    }
}

static void divide(const conversion *c, size_t j, const modulus *m, const uint64_t *work, const uint64_t *sum,
                   uint64_t weight, uint64_t *row, uint64_t *out) {
    const size_t apart = row_words(m->n);
    portable_combine(c, j, m->n, work + apart, apart, work, row);
    m->rows->ntt(m, row, row);
    m->rows->sub_mul_scalar(m, m->n, sum, row, weight, out);
}

const lift_kernels portable_lift = {split,     begin,  begin_product, add_words, add_lifted,
                                    add_small, lifted, add_sums,      store,     divide};
