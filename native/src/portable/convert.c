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

void portable_combine(const conversion *c, size_t j, size_t width, const uint64_t *y, size_t apart, const uint64_t *v,
                      uint64_t *out) {
    const modulus *p = c->target[j];
    const uint64_t *weights = c->punctured + j * c->a, minus_product = p->q - c->product[j];
    for (size_t k = 0; k < width; k++) {
        u128 sum = (u128)v[k] * minus_product; /* <= 2^71: room for 32 products below 2^122 */
        for (size_t i = 0; i < c->a; i++) {
            sum += (u128)y[i * apart + k] * weights[i];
            if ((i + 1) % TERMS_PER_FOLD == 0) {
                sum = reduce_sum(p, sum);
            }
        }
        out[k] = reduce_sum(p, sum);
    }
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
            portable_combine(c, p, width, y, block, v, out + (ptrdiff_t)p * out_limb + start);
        }
    }
}
