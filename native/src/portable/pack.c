/*
 * Rows of residues as bits, bits(q) for each, and back. Eight words take `bits` bytes, so that a row of n >= 8
 * words needs no padding. No branch or index depends on a word.
 */
#include <string.h>

#include "portable/modarith.h"

CKKS_INLINE uint64_t swapped_on_big_endian(uint64_t x) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

CKKS_INLINE uint64_t load_bytes(const uint8_t *x) {
    uint64_t word;
    memcpy(&word, x, sizeof word);
    return swapped_on_big_endian(word);
}

CKKS_INLINE void store_bytes(uint8_t *out, uint64_t word) {
    word = swapped_on_big_endian(word);
    memcpy(out, &word, sizeof word);
}

/* `held` has `count` < 64 bits that are not written yet; count is a matter of the position only. */
static void pack_row(const modulus *m, const uint64_t *x, uint8_t *out) {
    const unsigned bits = m->bits;
    uint64_t held = 0;
    unsigned count = 0;
    for (size_t j = 0; j < m->n; j++) {
        CHECK(x[j] < m->q);
        held |= x[j] << count;
        count += bits;
        if (count >= 64) {
            store_bytes(out, held);
            out += 8;
            count -= 64;
            held = x[j] >> (bits - count); /* 0 < bits - count <= bits: by all of them when the word fits exactly */
        }
    }
    CHECK(count % 8 == 0);
    for (; count > 0; count -= 8, held >>= 8) {
        *out++ = (uint8_t)held;
    }
}

/* Eight words from `bits` bytes; reads up to byte (7 bits) / 8 + 8 <= 61. Returns all ones when one is not below q. */
CKKS_INLINE uint64_t unpack_eight(const modulus *m, const uint8_t *x, uint64_t *out) {
    const unsigned bits = m->bits;
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    uint64_t bad = 0;
    for (unsigned j = 0; j < 8; j++) {
        const uint8_t *at = x + (j * bits >> 3);
        const unsigned shift = j * bits & 7;
        /* The ninth byte counts where shift + bits > 64; two shifts, since one of 64 is undefined. */
        const uint64_t word = (load_bytes(at) >> shift | (uint64_t)at[8] << 1 << (63 - shift)) & mask;
        bad |= m->q - 1 - word; /* negative iff word >= q */
        out[j] = word;
    }
    return 0 - (bad >> 63);
}

static uint64_t unpack_row(const modulus *m, const uint8_t *x, uint64_t *out) {
    const unsigned bits = m->bits;
    uint64_t bad = 0;
    size_t left = m->n / 8 * bits;
    for (; left >= 64; left -= bits, x += bits, out += 8) {
        bad |= unpack_eight(m, x, out);
    }
    for (; left > 0; left -= bits, x += bits, out += 8) { /* the last bytes of a row, with zeros behind them */
        uint8_t last[64] = {0};
        memcpy(last, x, bits);
        bad |= unpack_eight(m, last, out);
    }
    return bad;
}

void ckks_pack(modulus *const *m, size_t batch, size_t limbs, const uint64_t *x, ptrdiff_t x_batch, ptrdiff_t x_limb,
               uint8_t *out, ptrdiff_t out_batch) {
    size_t start = 0;
    for (size_t i = 0; i < limbs; start += m[i]->n / 8 * m[i]->bits, i++) {
        for (size_t b = 0; b < batch; b++) {
            pack_row(m[i], x + (ptrdiff_t)b * x_batch + (ptrdiff_t)i * x_limb, out + (ptrdiff_t)b * out_batch + start);
        }
    }
}

int ckks_unpack(modulus *const *m, size_t batch, size_t limbs, const uint8_t *x, ptrdiff_t x_batch, uint64_t *out,
                ptrdiff_t out_batch, ptrdiff_t out_limb) {
    size_t start = 0;
    uint64_t bad = 0;
    for (size_t i = 0; i < limbs; start += m[i]->n / 8 * m[i]->bits, i++) {
        for (size_t b = 0; b < batch; b++) {
            bad |= unpack_row(m[i], x + (ptrdiff_t)b * x_batch + start,
                              out + (ptrdiff_t)b * out_batch + (ptrdiff_t)i * out_limb);
        }
    }
    return bad == 0;
}
