/*
 * Permutations of a row. An automorphism in NTT form takes the words of an aligned block of eight, whose exponents agree
 * modulo N/4, to those of one other block: a load, a permutation of the register, a store. Any other index is served word
 * by word. The index is public, so a branch on it tells nothing.
 */
#include "avx512/avx512.h"

#if CKKS_IFMA
#include "avx512/vector.h"

AVX512 void ifma_gather(size_t n, const uint64_t *x, const int64_t *index, uint64_t *out) {
    for (size_t j = 0; j < n; j += 8) {
        if (in_one_block(index + j)) {
            store(out + j, load_permuted(x + ((size_t)index[j] & (n - 1) & ~(size_t)7), index + j));
            continue;
        }
        for (size_t i = j; i < j + 8; i++) {
            out[i] = x[(size_t)index[i] & (n - 1)];
        }
    }
}
#endif
