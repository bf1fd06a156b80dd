/*
 * Arithmetic modulo one q < 2^61 on 64-bit words. No branch, table index or division depends on a residue.
 */
#ifndef CKKS_MODARITH_H
#define CKKS_MODARITH_H

#include "modulus.h"

typedef unsigned __int128 u128;

CKKS_INLINE uint64_t high(uint64_t a, uint64_t b) {
    return (uint64_t)(((u128)a * b) >> 64);
}

/* x in [0, 2 bound), bound <= 2^62 -> x mod bound in [0, bound), by a mask: x - bound wraps iff x < bound. */
CKKS_INLINE uint64_t subtract_once(uint64_t x, uint64_t bound) {
    CHECK(x < 2 * bound && bound <= (uint64_t)1 << 62);
    uint64_t t = x - bound;
    return t + (bound & (0 - (t >> 63)));
}

/* floor(w 2^64 / q) for w in [0, q): the second half of a Shoup operand. Divides: for public w only. */
CKKS_INLINE uint64_t shoup(uint64_t w, uint64_t q) {
    return (uint64_t)(((u128)w << 64) / q);
}

/*
 * w y mod q in [0, 2q), for w in [0, q) and ANY word y ([Har12, Sec. 2]).
 * With w' = floor(w 2^64 / q):  0 <= w 2^64/q - w' < 1  and  h = floor(w' y / 2^64), so
 * w y/q - h < y/2^64 + 1 < 2.
 */
CKKS_INLINE uint64_t mul_shoup_lazy(uint64_t y, uint64_t w, uint64_t w_shoup, uint64_t q) {
    uint64_t r = w * y - high(w_shoup, y) * q;
    CHECK(r < 2 * q);
    return r;
}

/*
 * x mod q in [0, 2q) for any word x: mu = floor(2^64/q), and x/q - floor(x mu / 2^64) < x/2^64 + 1 < 2.
 */
CKKS_INLINE uint64_t reduce_word_lazy(const modulus *m, uint64_t x) {
    uint64_t r = x - high(x, m->word_quotient) * m->q;
    CHECK(r < 2 * m->q);
    return r;
}

CKKS_INLINE uint64_t reduce_word(const modulus *m, uint64_t x) {
    return subtract_once(reduce_word_lazy(m, x), m->q);
}

/*
 * x y mod q in [0, q) for x, y in [0, q): Barrett with one high product.
 * b = bits(q), so z = x y < 2^2b; t = floor(z / 2^(b-2)) < 2^(b+2) <= 2^63; mu = floor(2^(b+62)/q) <= 2^63;
 * k = floor(t mu / 2^64). Then z/q - k < 1 + mu/2^64 + t/2^64 <= 1 + 1/2 + 1/2 = 2, hence z - k q in [0, 2q).
 */
CKKS_INLINE uint64_t mul_mod(const modulus *m, uint64_t x, uint64_t y) {
    CHECK(x < m->q && y < m->q);
    u128 z = (u128)x * y;
    uint64_t t = (uint64_t)(z >> (m->bits - 2));
    uint64_t r = (uint64_t)z - high(t, m->product_quotient) * m->q;
    return subtract_once(r, m->q);
}

/*
 * Any 128-bit x mod q in [0, q): x = H 2^64 + L, and H (2^64 mod q) by Shoup plus L by Barrett is in [0, 4q),
 * 4q < 2^63.
 */
CKKS_INLINE uint64_t reduce_sum(const modulus *m, u128 x) {
    uint64_t folded = mul_shoup_lazy((uint64_t)(x >> 64), m->word, m->word_shoup, m->q);
    uint64_t r = folded + reduce_word_lazy(m, (uint64_t)x);
    return subtract_once(subtract_once(r, 2 * m->q), m->q);
}

/* floor(s r / 2^52) with s = y 2^(52-b) for b = bits(d): y/d in units of 2^-51, for y < d; see portable/convert.c. */
CKKS_INLINE uint64_t overflow_fraction(const modulus *d, uint64_t y, uint64_t reciprocal) {
    uint64_t s = d->bits <= 52 ? y << (52 - d->bits) : y >> (d->bits - 52);
    CHECK(s >> 52 == 0 && reciprocal >> 52 == 0);
    return (uint64_t)(((u128)s * reciprocal) >> 52);
}

/* How many products of residues below 2^61 a 128-bit sum takes on top of one residue: 32 2^122 + 2^61 < 2^128. */
#define TERMS_PER_FOLD 32

CKKS_INLINE uint64_t add_mod(const modulus *m, uint64_t x, uint64_t y) {
    return subtract_once(x + y, m->q);
}

CKKS_INLINE uint64_t sub_mod(const modulus *m, uint64_t x, uint64_t y) {
    CHECK(x < m->q && y < m->q);
    uint64_t t = x - y;
    return t + (m->q & (0 - (t >> 63)));
}

/*
 * negative: all ones to negate, zero to keep. -0 = 0: the mask (0 - x) >> 63 is 1 exactly for x in [1, q).
 * q by value: were it read from memory here, clang would branch on the mask, to read it for x > 0 only.
 */
CKKS_INLINE uint64_t negate_if(uint64_t q, uint64_t x, uint64_t negative) {
    CHECK(x < q);
    uint64_t negated = (q & (0 - ((0 - x) >> 63))) - x;
    return x ^ ((x ^ negated) & negative);
}

/* v mod q in [0, q) for v in (-2^62, 2^62), in constant time: |v| by Barrett, then the sign. */
CKKS_INLINE uint64_t signed_word(const modulus *m, int64_t v) {
    uint64_t negative = 0 - ((uint64_t)v >> 63);
    return negate_if(m->q, reduce_word(m, ((uint64_t)v ^ negative) - negative), negative);
}

/* The representative of x mod q in (-q/2, q/2), exact for q < 2^50. Branches: for public x only. */
CKKS_INLINE double centred_double(uint64_t x, uint64_t q) {
    return x > q / 2 ? -(double)(q - x) : (double)x;
}

#endif
