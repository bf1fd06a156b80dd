/*
 * Word by word: sums, differences, products, and sums of products with one reduction at the end.
 */
#include "modarith.h"

void portable_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = add_mod(m, x[j], y[j]);
    }
}

void portable_sub(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = sub_mod(m, x[j], y[j]);
    }
}

void portable_mul(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = mul_mod(m, x[j], y[j]);
    }
}

void portable_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                      uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = add_mod(m, mul_mod(m, x[j], y[j]), z[j]);
    }
}

void portable_neg_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                          uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = sub_mod(m, z[j], mul_mod(m, x[j], y[j]));
    }
}

void portable_add_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = add_mod(m, x[j], w);
    }
}

void portable_mul_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = mul_mod(m, x[j], w);
    }
}

void portable_mul_scalar_add(const modulus *m, size_t count, const uint64_t *x, uint64_t w, const uint64_t *y,
                             uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = add_mod(m, mul_mod(m, x[j], w), y[j]);
    }
}

void portable_sub_mul_scalar(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t w,
                             uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = mul_mod(m, sub_mod(m, x[j], y[j]), w);
    }
}

void portable_tensor(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2], uint64_t *const out[3]) {
    for (size_t j = 0; j < m->n; j++) {
        const uint64_t x0 = x[0][j], x1 = x[1][j], y0 = y[0][j], y1 = y[1][j];
        out[0][j] = mul_mod(m, x0, y0);
        out[1][j] = reduce_sum(m, (u128)x0 * y1 + (u128)x1 * y0);
        out[2][j] = mul_mod(m, x1, y1);
    }
}

/* Columns summed at once: their 128-bit sums stay in the first-level cache. */
#define BLOCK 64

/* Each sum to its residue in [0, q): called every TERMS_PER_FOLD terms. */
CKKS_INLINE void fold(const modulus *m, size_t count, u128 *sums) {
    for (size_t j = 0; j < count; j++) {
        sums[j] = reduce_sum(m, sums[j]);
    }
}

/* The index is public. Reducing it modulo n keeps every read inside the row, whatever it holds. */
void portable_gather(size_t n, const uint64_t *x, const int64_t *index, uint64_t *out) {
    for (size_t j = 0; j < n; j++) {
        out[j] = x[(size_t)index[j] & (n - 1)];
    }
}

void portable_dot(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                  const uint64_t *y, ptrdiff_t y_term, uint64_t *out) {
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t width = count - start < BLOCK ? count - start : BLOCK;
        u128 sums[BLOCK] = {0};
        for (size_t k = 0; k < terms; k++) {
            const uint64_t *u = x + (ptrdiff_t)k * x_term + start, *v = y + (ptrdiff_t)k * y_term + start;
            for (size_t j = 0; j < width; j++) {
                CHECK(u[j] < m->q && v[j] < m->q);
                CHECK(sums[j] <= ~(u128)0 - (u128)u[j] * v[j]);
                sums[j] += (u128)u[j] * v[j];
            }
            if ((k + 1) % TERMS_PER_FOLD == 0) {
                fold(m, width, sums);
            }
        }
        for (size_t j = 0; j < width; j++) {
            out[start + j] = reduce_sum(m, sums[j]);
        }
    }
}

void portable_weighted_sum(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                           const uint64_t *w, ptrdiff_t w_term, uint64_t *out) {
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t width = count - start < BLOCK ? count - start : BLOCK;
        u128 sums[BLOCK] = {0};
        for (size_t k = 0; k < terms; k++) {
            const uint64_t *u = x + (ptrdiff_t)k * x_term + start, weight = w[(ptrdiff_t)k * w_term];
            for (size_t j = 0; j < width; j++) {
                CHECK(u[j] < m->q && weight < m->q);
                CHECK(sums[j] <= ~(u128)0 - (u128)u[j] * weight);
                sums[j] += (u128)u[j] * weight;
            }
            if ((k + 1) % TERMS_PER_FOLD == 0) {
                fold(m, width, sums);
            }
        }
        for (size_t j = 0; j < width; j++) {
            out[start + j] = reduce_sum(m, sums[j]);
        }
    }
}

void portable_signed_words(const modulus *m, size_t count, const int64_t *low, const int64_t *high, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = signed_word(m, low[j]);
    }
    for (size_t j = 0; high != NULL && j < count; j++) {
        out[j] = add_mod(m, out[j], mul_mod(m, signed_word(m, high[j]), m->two52));
    }
}

const row_kernels portable_rows = {
    .name = "portable",
    .ntt = portable_ntt,
    .intt = portable_intt,
    .add = portable_add,
    .sub = portable_sub,
    .mul = portable_mul,
    .add_scalar = portable_add_scalar,
    .mul_scalar = portable_mul_scalar,
    .mul_scalar_add = portable_mul_scalar_add,
    .sub_mul_scalar = portable_sub_mul_scalar,
    .tensor = portable_tensor,
    .gather = portable_gather,
    .dot = portable_dot,
    .weighted_sum = portable_weighted_sum,
    .signed_words = portable_signed_words,
    .mul_add = portable_mul_add,
    .neg_mul_add = portable_neg_mul_add,
    .small_words = portable_small_words,
    .rounded_words = portable_rounded_words,
    .prepare = portable_prepare,
};
