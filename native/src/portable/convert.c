/*
 * Base conversion with an integer overflow count, the formula of ckks/kernels/reference.py:
 *
 *   y_i = x_i [(D/d_i)^-1] mod d_i                               in [0, d_i)
 *   t_i = floor(s_i r_i / 2^52)                                  y_i/d_i in units of 2^-51, rounded down
 *         with s_i = y_i 2^(52-b_i) < 2^52 (bits drop out when b_i > 52), b_i = bits(d_i), r_i = reciprocal[i]
 *   v   = floor((sum_i t_i + offset) / 2^51)       <= a
 *   out_j = sum_i y_i [D/d_i] - v [D] mod p_j
 */
#include "modarith.h"

/* Words of y kept on the stack; a <= 1024, so at least four columns fit. */
#define SCRATCH 4096

static uint64_t overflow_fraction(const modulus *d, uint64_t y, uint64_t reciprocal) {
    uint64_t s = d->bits <= 52 ? y << (52 - d->bits) : y >> (d->bits - 52);
    CHECK(s >> 52 == 0 && reciprocal >> 52 == 0);
    return (uint64_t)(((u128)s * reciprocal) >> 52);
}

void portable_convert(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb, uint64_t *out,
                      ptrdiff_t out_limb) {
    uint64_t y[SCRATCH], v[64];
    const size_t room = SCRATCH / c->a, block = room < 64 ? room : 64;
    for (size_t start = 0; start < count; start += block) {
        const size_t width = count - start < block ? count - start : block;
        for (size_t j = 0; j < width; j++) {
            v[j] = c->offset;
        }
        for (size_t i = 0; i < c->a; i++) {
            const uint64_t *row = x + (ptrdiff_t)i * x_limb + start;
            for (size_t j = 0; j < width; j++) {
                y[i * block + j] = mul_mod(c->source[i], row[j], c->punctured_inverse[i]);
                v[j] += overflow_fraction(c->source[i], y[i * block + j], c->reciprocal[i]);
            }
        }
        for (size_t j = 0; j < width; j++) {
            v[j] >>= 51; /* a sum below (a + 1) 2^51 <= 2^62 before */
            CHECK(v[j] <= c->a);
        }
        for (size_t p = 0; p < c->b; p++) {
            const modulus *m = c->target[p];
            const uint64_t *weights = c->punctured + p * c->a, minus_product = m->q - c->product[p];
            uint64_t *row = out + (ptrdiff_t)p * out_limb + start;
            for (size_t j = 0; j < width; j++) {
                u128 sum = (u128)v[j] * minus_product; /* <= 2^71: room for 32 products below 2^122 */
                for (size_t i = 0; i < c->a; i++) {
                    sum += (u128)y[i * block + j] * weights[i];
                    if ((i + 1) % TERMS_PER_FOLD == 0) {
                        sum = reduce_sum(m, sum);
                    }
                }
                row[j] = reduce_sum(m, sum);
            }
        }
    }
}
