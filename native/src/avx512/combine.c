/*
 * Sums of products of residues below 2^50 with the 52-bit multiply-add: the low and the high halves of all products in
 * two sums of words each, kept in registers through all terms and reduced once.
 *
 * A product is below 2^100: its low half adds less than 2^52, its high half less than 2^48. So up to 2048 terms keep
 * low < 2^63 and high < 2^59.
 */
#include "avx512/avx512.h"

#if CKKS_IFMA
#include "avx512/vector.h"

#define MASK52 (((uint64_t)1 << 52) - 1)

/*
 * w y mod q in [0, 2q), for w in [0, q), w_shoup = floor(w 2^52 / q), y < 2^52: with h = floor(w_shoup y / 2^52),
 * w y/q - h is in [0, 2). The difference is below 2^51, so it is right modulo 2^52.
 */
AVX512_INLINE vec multiply_shoup(vec y, uint64_t w, uint64_t w_shoup, vec q) {
    const vec zero = broadcast(0);
    vec h = multiply_add_high(zero, y, broadcast(w_shoup));
    vec r = subtract(multiply_add_low(zero, y, broadcast(w)), multiply_add_low(zero, h, q));
    return both(r, broadcast(MASK52));
}

/*
 * high 2^52 + low mod q in [0, q). What low has above 2^52 is moved up. If high may reach 2^52 after that (`long_sums`), it
 * is a 2^30 + b, a < 2^30, and a third product with 2^82 mod q comes in. Each is in [0, 2q); 6q < 2^53.
 */
AVX512_INLINE void store_sum(const modulus *m, vec low, vec high, int long_sums, uint64_t *out) {
    const vec q = broadcast(m->q), q2 = broadcast(2 * m->q);
    high = add(high, shift_right(low, 52));
    vec sum = multiply_shoup(both(low, broadcast(MASK52)), 1, m->one_shoup52, q);
    if (long_sums) {
        const vec mask30 = broadcast(((uint64_t)1 << 30) - 1);
        sum = add(sum, multiply_shoup(shift_right(high, 30), m->two82, m->two82_shoup52, q));
        sum = minimum(sum, subtract(sum, q2));
        high = both(high, mask30);
    }
    sum = add(sum, multiply_shoup(high, m->two52, m->two52_shoup52, q));
    sum = minimum(sum, subtract(sum, q2));
    store(out, minimum(sum, subtract(sum, q)));
}

/* Eight factors from column j on. */
AVX512_INLINE vec factors(const uint64_t *y, size_t j, size_t repeat) {
    const size_t at = j / repeat;
    switch (repeat) {
    case 1: return load(y + at);
    case 2: return load_twice(y + at);
    case 4: return load_four_times(y + at);
    default: return broadcast(y[at]);
    }
}

/* Sixteen columns at a time. */
AVX512_INLINE void columns(const modulus *m, size_t count, size_t terms, size_t entries, const uint64_t *const x[2],
                           size_t repeat, const uint64_t *y, ptrdiff_t y_term, uint64_t *const out[2]) {
    /* high <= terms (2^(2 bits - 52) + 1) */
    const int long_sums = 2 * m->bits > 52 && terms >> 1 >= ((uint64_t)1 << (102 - 2 * m->bits));
    for (size_t j = 0; j < count; j += 16) {
        vec low[4], high[4];
        for (size_t i = 0; i < 2 * entries; i++) {
            low[i] = high[i] = broadcast(0);
        }
        const uint64_t *row = y;
        for (size_t k = 0; k < terms; k++, row += y_term) {
            const vec f[2] = {factors(row, j, repeat), factors(row, j + 8, repeat)};
            for (size_t i = 0; i < 2 * entries; i++) {
                const vec v = load(x[i >> 1] + k * count + j + 8 * (i & 1));
                low[i] = multiply_add_low(low[i], v, f[i & 1]);
                high[i] = multiply_add_high(high[i], v, f[i & 1]);
            }
        }
        for (size_t i = 0; i < 2 * entries; i++) {
            store_sum(m, low[i], high[i], long_sums, out[i >> 1] + j + 8 * (i & 1));
        }
    }
}

AVX512_INLINE void entries_of(const modulus *m, size_t count, size_t terms, size_t entries, const uint64_t *const x[2],
                              size_t repeat, const uint64_t *y, ptrdiff_t y_term, uint64_t *const out[2]) {
    if (entries == 2) {
        columns(m, count, terms, 2, x, repeat, y, y_term, out);
    } else {
        columns(m, count, terms, 1, x, repeat, y, y_term, out);
    }
}

AVX512 void ifma_combine(const modulus *m, size_t count, size_t terms, size_t entries, const uint64_t *const x[2],
                         size_t repeat, const uint64_t *y, ptrdiff_t y_term, uint64_t *const out[2]) {
    CHECK(count % 16 == 0 && terms <= 2048 && entries <= 2);
    switch (repeat) {
    case 1: entries_of(m, count, terms, entries, x, 1, y, y_term, out); break;
    case 2: entries_of(m, count, terms, entries, x, 2, y, y_term, out); break;
    case 4: entries_of(m, count, terms, entries, x, 4, y, y_term, out); break;
    default: entries_of(m, count, terms, entries, x, repeat, y, y_term, out);
    }
}
#endif
