/*
 * The table that the AVX-512-IFMA transforms read.
 */
#ifndef CKKS_AVX512_TWIDDLES_H
#define CKKS_AVX512_TWIDDLES_H

#include "modulus.h"

/*
 * Layout of a table, in words. Head: W[k] and its quotient at 2k and 2k+1, for the n/64 nodes k above the blocks of
 * 64. Tail, from n/32 rounded up to 8 on: 128 words for each block, K = n/64 + block the node of its first layer:
 *   8 words W[K], W[2K], W[2K+1], W[4K] .. W[4K+3], 0, and 8 of their quotients;
 *   7 times 8 words, one per lane i = 0..7, then 8 of their quotients, for
 *   W[8K+i], W[2(8K+i)], W[2(8K+i)+1], W[4(8K+i)] .. W[4(8K+i)+3].
 */
typedef struct {
    const uint64_t *head, *tail;
    size_t blocks; /* n/64, the node of the first block of 64 */
} table;

#define TAIL_WORDS 128

CKKS_INLINE size_t tail_start(size_t n) {
    return (n / 32 + 7) / 8 * 8;
}

CKKS_INLINE table table_of(const void *words, size_t n) {
    const uint64_t *head = words;
    return (table){head, head + tail_start(n), n / 64};
}

#endif
