/*
 * The operations of src/avx512/vector.h in scalar loops, so that src/avx512 can be tested on any machine.
 * It is stricter than the hardware, which drops the bits of factors above 2^52: here they are an error.
 */
#ifndef CKKS_EMULATE_AVX512_H
#define CKKS_EMULATE_AVX512_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AVX512
#define AVX512_INLINE static inline

typedef struct {
    uint64_t word[8];
} vec;

#define EACH_WORD(expression)       \
    vec r;                          \
    for (int i = 0; i < 8; i++) {   \
        r.word[i] = (expression);   \
    }                               \
    return r

static inline uint64_t factor(uint64_t x) {
    if (x >> 52) {
        fprintf(stderr, "factor %llu of a 52-bit product is not below 2^52\n", (unsigned long long)x);
        abort();
    }
    return x;
}

static inline vec load(const uint64_t *x) {
    EACH_WORD(x[i]);
}
static inline vec load_narrow(const int32_t *x) {
    EACH_WORD((uint64_t)(int64_t)x[i]);
}
static inline void store(uint64_t *x, vec a) {
    memcpy(x, a.word, sizeof a.word);
}
static inline vec broadcast(uint64_t x) {
    EACH_WORD(x);
}
static inline vec add(vec a, vec b) {
    EACH_WORD(a.word[i] + b.word[i]);
}
static inline vec subtract(vec a, vec b) {
    EACH_WORD(a.word[i] - b.word[i]);
}
static inline vec minimum(vec a, vec b) {
    EACH_WORD(a.word[i] < b.word[i] ? a.word[i] : b.word[i]);
}
static inline vec both(vec a, vec b) {
    EACH_WORD(a.word[i] & b.word[i]);
}
static inline vec load_twice(const uint64_t *x) {
    EACH_WORD(x[i / 2]);
}
static inline vec load_four_times(const uint64_t *x) {
    EACH_WORD(x[i / 4]);
}
static inline int in_one_block(const int64_t *places) {
    for (int i = 0; i < 8; i++) {
        if ((uint64_t)(places[i] ^ places[0]) >= 8) {
            return 0;
        }
    }
    return 1;
}
static inline vec load_permuted(const uint64_t *x, const int64_t *places) {
    EACH_WORD(x[places[i] & 7]);
}
static inline vec shift_left(vec a, unsigned bits) {
    EACH_WORD(a.word[i] << bits);
}
static inline vec shift_right(vec a, unsigned bits) {
    EACH_WORD(a.word[i] >> bits);
}
static inline vec multiply_add_low(vec sum, vec a, vec b) {
    EACH_WORD(sum.word[i] + (factor(a.word[i]) * factor(b.word[i]) & (((uint64_t)1 << 52) - 1)));
}
static inline vec multiply_add_high(vec sum, vec a, vec b) {
    EACH_WORD(sum.word[i] + (uint64_t)(((unsigned __int128)factor(a.word[i]) * factor(b.word[i])) >> 52));
}
static inline vec interleave_even(vec a, vec b) {
    EACH_WORD(i % 2 ? b.word[i - 1] : a.word[i]);
}
static inline vec interleave_odd(vec a, vec b) {
    EACH_WORD(i % 2 ? b.word[i] : a.word[i + 1]);
}
static inline vec pairs(vec a, vec b, int i0, int i1, int i2, int i3) {
    const int from[4] = {i0, i1, i2, i3};
    EACH_WORD((i < 4 ? a : b).word[2 * from[i / 2] + i % 2]);
}
#define PAIRS(a, b, i, j, k, l) pairs(a, b, i, j, k, l)

#endif
