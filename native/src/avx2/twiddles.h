/*
 * The table that the AVX2 transforms read.
 */
#ifndef CKKS_AVX2_TWIDDLES_H
#define CKKS_AVX2_TWIDDLES_H

#include "modulus.h"

/*
 * Layout of a table, in doubles. Head: W[k] at k, for the n/16 nodes k above the blocks of 16. Tail, from
 * n/16 rounded up to 8 on: 16 doubles for each block, with K = n/16 + block the node of its first layer:
 *   W[K], W[2K], W[2K+1], 0, and per lane W[4K + i], W[2(4K + i)], W[2(4K + i) + 1], i = 0..3.
 */
typedef struct {
    const double *head, *tail;
    size_t blocks; /* n/16, the node of the first block of 16 */
} table;

CKKS_INLINE size_t tail_start(size_t n) {
    return (n / 16 + 7) / 8 * 8;
}

CKKS_INLINE table table_of(const void *words, size_t n) {
    const double *head = words;
    return (table){head, head + tail_start(n), n / 16};
}

#endif
