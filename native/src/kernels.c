/*
 * The C interface: loops over limbs and batch around the row kernels of each modulus.
 *
 * Limbs are the outer loop, so that the tables of one prime stay in the cache for the whole batch.
 */
#include <string.h>

#include "portable/modarith.h"

#define ROW(a, b, i) ((a) + (ptrdiff_t)(b) * a##_batch + (ptrdiff_t)(i) * a##_limb)
#define FOR_ROWS                        \
    for (size_t i = 0; i < limbs; i++)  \
        for (size_t b = 0; b < batch; b++)

void ckks_ntt(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->ntt(m[i], ROW(x, b, i), ROW(out, b, i));
}

void ckks_intt(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
               ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->intt(m[i], ROW(x, b, i), ROW(out, b, i));
}

void ckks_neg(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS {
        const uint64_t *u = ROW(x, b, i);
        uint64_t *o = ROW(out, b, i);
        const uint64_t q = m[i]->q;
        for (size_t j = 0; j < m[i]->n; j++) {
            o[j] = negate_if(q, u[j], ~(uint64_t)0);
        }
    }
}

void ckks_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->add(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), ROW(out, b, i));
}

void ckks_sub(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->sub(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), ROW(out, b, i));
}

void ckks_mul(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
              ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, uint64_t *out,
              ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->mul(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), ROW(out, b, i));
}

void ckks_add_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                     ptrdiff_t x_limb, const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->add_scalar(m[i], m[i]->n, ROW(x, b, i), w[i], ROW(out, b, i));
}

void ckks_mul_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                     ptrdiff_t x_limb, const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->mul_scalar(m[i], m[i]->n, ROW(x, b, i), w[i], ROW(out, b, i));
}

void ckks_mul_scalar_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                         ptrdiff_t x_limb, const uint64_t *w, const uint64_t *y, ptrdiff_t y_batch,
                         ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->mul_scalar_add(m[i], m[i]->n, ROW(x, b, i), w[i], ROW(y, b, i), ROW(out, b, i));
}

void ckks_sub_mul_scalar(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                         ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb,
                         const uint64_t *w, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->sub_mul_scalar(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), w[i], ROW(out, b, i));
}

/* Columns of a dot product done for the whole batch before the next: what the batch shares (a switching key has
 * y_batch = 0) is then read from memory once. */
#define DOT_COLUMNS 1024

void ckks_dot(modulus *const *m, size_t terms, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_term,
              ptrdiff_t x_batch, ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_term, ptrdiff_t y_batch,
              ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    for (size_t i = 0; i < limbs; i++) {
        for (size_t start = 0; start < m[i]->n; start += DOT_COLUMNS) {
            const size_t width = m[i]->n - start < DOT_COLUMNS ? m[i]->n - start : DOT_COLUMNS;
            for (size_t b = 0; b < batch; b++) {
                m[i]->rows->dot(m[i], width, terms, ROW(x, b, i) + start, x_term, ROW(y, b, i) + start, y_term,
                                ROW(out, b, i) + start);
            }
        }
    }
}

/* Entries of the batch of a combination that share what is made ready for them. */
#define COMBINE_BATCH 2

/* Columns done for all outputs before the next: as many as keep the terms in the first cache, a power of two. */
static size_t combine_columns(size_t terms, size_t n) {
    size_t columns = 32;
    while (2 * columns * terms <= 1024) {
        columns *= 2;
    }
    return columns < n ? columns : n;
}

size_t ckks_combine_space(size_t terms) {
    return (COMBINE_BATCH + 1) * terms * combine_columns(terms, SIZE_MAX);
}

CKKS_INLINE void spread_row(size_t width, size_t repeat, const uint64_t *x, uint64_t *out) {
    for (size_t j = 0; j < width; j += repeat, x++) {
        for (size_t r = 0; r < repeat; r++) {
            out[j + r] = *x;
        }
    }
}

/* `width` words of each of the terms, one after the other; each word of x stands for `repeat` of them. */
static void spread(size_t terms, size_t start, size_t width, size_t repeat, const uint64_t *x, ptrdiff_t x_term,
                   uint64_t *out) {
    x += start / repeat;
    for (size_t k = 0; k < terms; k++, x += x_term, out += width) {
        switch (repeat < width ? repeat : width) {
        case 1: memcpy(out, x, width * sizeof *out); break;
        case 2: spread_row(width, 2, x, out); break;
        case 4: spread_row(width, 4, x, out); break;
        default: spread_row(width, repeat < width ? repeat : width, x, out);
        }
    }
}

/* Rows of the terms are often a power of two apart, so a block of them is copied together before it is used again and
 * again. */
void ckks_combine(modulus *const *m, size_t outputs, size_t terms, size_t batch, size_t limbs, const uint64_t *x,
                  ptrdiff_t x_term, ptrdiff_t x_batch, ptrdiff_t x_limb, size_t repeat, const uint64_t *y,
                  ptrdiff_t y_output, ptrdiff_t y_term, ptrdiff_t y_limb, uint64_t *out, ptrdiff_t out_output,
                  ptrdiff_t out_batch, ptrdiff_t out_limb, uint64_t *space) {
    for (size_t i = 0; i < limbs; i++) {
        const row_kernels *rows = m[i]->rows;
        const size_t n = m[i]->n, columns = combine_columns(terms, n), apart = terms * columns;
        const int fused = rows->combine != NULL, as_it_is = fused || repeat == 1;
        uint64_t *const factors = space + COMBINE_BATCH * apart;
        for (size_t start = 0; start < n; start += columns) {
            for (size_t b = 0; b < batch; b += COMBINE_BATCH) {
                const size_t entries = batch - b < COMBINE_BATCH ? batch - b : COMBINE_BATCH;
                for (size_t e = 0; e < entries; e++) {
                    spread(terms, start, columns, 1, ROW(x, b + e, i), x_term, space + e * apart);
                }
                const uint64_t *const terms_of[COMBINE_BATCH] = {space, space + apart};
                for (size_t k = 0; k < outputs; k++) {
                    const uint64_t *row = y + (ptrdiff_t)k * y_output + (ptrdiff_t)i * y_limb;
                    const uint64_t *factor = as_it_is ? row + start / repeat : factors;
                    const ptrdiff_t factor_term = as_it_is ? y_term : (ptrdiff_t)columns;
                    uint64_t *to = ROW(out, b, i) + (ptrdiff_t)k * out_output + start;
                    uint64_t *const sums[COMBINE_BATCH] = {to, to + out_batch};
                    if (fused) {
                        rows->combine(m[i], columns, terms, entries, terms_of, repeat, factor, factor_term, sums);
                        continue;
                    }
                    if (!as_it_is) {
                        spread(terms, start, columns, repeat, row, y_term, factors);
                    }
                    for (size_t e = 0; e < entries; e++) {
                        rows->dot(m[i], columns, terms, terms_of[e], (ptrdiff_t)columns, factor, factor_term, sums[e]);
                    }
                }
            }
        }
    }
}

void ckks_weighted_sum(modulus *const *m, size_t terms, size_t batch, size_t limbs, const uint64_t *x,
                       ptrdiff_t x_term, ptrdiff_t x_batch, ptrdiff_t x_limb, const uint64_t *w,
                       ptrdiff_t w_term, ptrdiff_t w_limb, uint64_t *out, ptrdiff_t out_batch,
                       ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->weighted_sum(m[i], m[i]->n, terms, ROW(x, b, i), x_term, w + (ptrdiff_t)i * w_limb,
                                      w_term, ROW(out, b, i));
}

void ckks_convert(const conversion *c, size_t batch, size_t count, const uint64_t *x, ptrdiff_t x_batch,
                  ptrdiff_t x_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    for (size_t b = 0; b < batch; b++) {
        c->rows(c, count, x + (ptrdiff_t)b * x_batch, x_limb, out + (ptrdiff_t)b * out_batch, out_limb);
    }
}

/* The index is public. Reducing it modulo n keeps every read inside the row, whatever it holds. */
void ckks_gather(size_t batch, size_t limbs, size_t n, const uint64_t *x, ptrdiff_t x_batch, ptrdiff_t x_limb,
                 const int64_t *index, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS {
        const uint64_t *u = ROW(x, b, i);
        uint64_t *o = ROW(out, b, i);
        for (size_t j = 0; j < n; j++) {
            o[j] = u[(size_t)index[j] & (n - 1)];
        }
    }
}

void ckks_gather_signed(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                        ptrdiff_t x_limb, const int64_t *index, uint64_t *out, ptrdiff_t out_batch,
                        ptrdiff_t out_limb) {
    FOR_ROWS {
        const uint64_t *u = ROW(x, b, i);
        uint64_t *o = ROW(out, b, i);
        const uint64_t q = m[i]->q;
        for (size_t j = 0; j < m[i]->n; j++) {
            const size_t k = (size_t)index[j];
            o[j] = negate_if(q, u[k & (m[i]->n - 1)], 0 - (uint64_t)(k >> m[i]->log_n & 1));
        }
    }
}

void ckks_signed(modulus *const *m, size_t batch, size_t limbs, const int64_t *low, ptrdiff_t low_batch,
                 const int64_t *high, ptrdiff_t high_batch, uint64_t *out, ptrdiff_t out_batch,
                 ptrdiff_t out_limb) {
    FOR_ROWS {
        const int64_t *u = low + (ptrdiff_t)b * low_batch, *v = high == NULL ? NULL : high + (ptrdiff_t)b * high_batch;
        m[i]->rows->signed_words(m[i], m[i]->n, u, v, ROW(out, b, i));
    }
}

void ckks_small(modulus *const *m, size_t batch, size_t limbs, const int8_t *x, ptrdiff_t x_batch, uint64_t *out,
                ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->small_words(m[i], m[i]->n, x + (ptrdiff_t)b * x_batch, ROW(out, b, i));
}

void ckks_rounded(modulus *const *m, size_t batch, size_t limbs, const double *x, ptrdiff_t x_batch, double scale,
                  uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->rounded_words(m[i], m[i]->n, x + (ptrdiff_t)b * x_batch, scale, ROW(out, b, i));
}

void ckks_mul_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                  ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, const uint64_t *z,
                  ptrdiff_t z_batch, ptrdiff_t z_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->mul_add(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), ROW(z, b, i), ROW(out, b, i));
}

void ckks_neg_mul_add(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch,
                      ptrdiff_t x_limb, const uint64_t *y, ptrdiff_t y_batch, ptrdiff_t y_limb, const uint64_t *z,
                      ptrdiff_t z_batch, ptrdiff_t z_limb, uint64_t *out, ptrdiff_t out_batch, ptrdiff_t out_limb) {
    FOR_ROWS m[i]->rows->neg_mul_add(m[i], m[i]->n, ROW(x, b, i), ROW(y, b, i), ROW(z, b, i), ROW(out, b, i));
}
