/*
 * From keystreams and from real coefficients to residues.
 *
 * Streams of secrets (binomial, ternary) and coefficients (messages) are handled in constant time. The uniform
 * words are public; that code has no branch on them either, since one that fails half the time costs more.
 */
#include "portable/modarith.h"

size_t portable_take_below(uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out) {
    unsigned bits = 0;
    while (q >> bits) {
        bits++;
    }
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    size_t filled = 0;
    for (size_t j = 0; j < count && filled < room; j++) {
        const uint64_t candidate = x[j] & mask;
        out[filled] = candidate;
        filled += (candidate - q) >> 63; /* both below 2^61 */
    }
    return filled;
}

/* Only `rejected` decides what happens next: c - 1 is written either way. */
size_t ckks_take_ternary(size_t count, const uint8_t *x, size_t room, int8_t *out) {
    size_t filled = 0;
    for (size_t j = 0; j < count; j++) {
        for (unsigned shift = 0; shift < 8; shift += 2) {
            if (filled == room) {
                return filled;
            }
            const unsigned candidate = (unsigned)x[j] >> shift & 3, rejected = candidate & candidate >> 1;
            out[filled] = (int8_t)((int)candidate - 1);
            filled += 1 - rejected;
        }
    }
    return filled;
}

/*
 * popcount(low) - popcount(high) of 21 bits each is popcount(low, and high flipped) - 21: one count of 42 bits.
 * The count is done in words, since a compiler without such an instruction would look it up in a table. Fields of 2,
 * 4, 8 bits hold at most 2, 4, 8; the product sums eight bytes of at most 8, 64 in all, in the highest.
 */
void portable_binomial(size_t count, const uint64_t *x, int8_t *out) {
    const uint64_t low = ((uint64_t)1 << 21) - 1, all = ((uint64_t)1 << 42) - 1;
    for (size_t j = 0; j < count; j++) {
        uint64_t v = (x[j] ^ low << 21) & all;
        v -= v >> 1 & 0x5555555555555555;
        v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
        v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
        v = v * 0x0101010101010101 >> 56;
        CHECK(v <= 42);
        out[j] = (int8_t)((int)v - 21);
    }
}

/* Above 128, x lies in (-q, q). */
void portable_small_words(const modulus *m, size_t count, const int8_t *x, uint64_t *out) {
    const uint64_t q = m->q;
    if (q <= 128) {
        for (size_t j = 0; j < count; j++) {
            out[j] = signed_word(m, x[j]);
        }
        return;
    }
    for (size_t j = 0; j < count; j++) {
        const uint64_t v = (uint64_t)(int64_t)x[j];
        out[j] = v + (q & (0 - (v >> 63)));
    }
}

/* v rounded to an integer, halves to even, for |v| <= 2^51: C + v lies in [2^52, 2^53], where doubles are integers. */
CKKS_INLINE double nearest(double v) {
    const double c = 6755399441055744.0; /* 1.5 2^52 */
    CHECK(v <= 2251799813685248.0 && v >= -2251799813685248.0);
    return (v + c) - c;
}

/*
 * v rounded to an integer, halves to even, for |v| < 2^62: h = v 2^-26 rounded, |h| <= 2^36; r = v - h 2^26 is exact,
 * since both are multiples of the last bit of v (or of 2^26) and |r| <= 2^25; h 2^26 is even, so that rounding r to
 * even rounds v to even. rint() would do the same, but is a library call, with branches, where SSE4.1 is not promised.
 */
CKKS_INLINE int64_t rounded_integer(double v) {
    CHECK(v < 0x1p62 && v > -0x1p62);
    const double h = nearest(v * 0x1p-26), r = v - h * 0x1p26;
    CHECK(r <= 0x1p25 && r >= -0x1p25);
    return (int64_t)h * ((int64_t)1 << 26) + (int64_t)nearest(r);
}

void portable_rounded_words(const modulus *m, size_t count, const double *x, double scale, uint64_t *out) {
    for (size_t j = 0; j < count; j++) {
        out[j] = signed_word(m, rounded_integer(x[j] * scale));
    }
}
