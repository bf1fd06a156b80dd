/*
 * What becomes of the values of a forward transform: a row that is only an intermediate is never written.
 *
 * Sums are signed words in two's complement, of 2^-52 times what they stand for: where the product of a value and a word
 * of a key is added, it is reduced by montgomery(), in four instructions and a subtraction, to one word.
 */
#ifndef CKKS_AVX512_TRANSFORM_H
#define CKKS_AVX512_TRANSFORM_H

#include "avx512/modular.h"

/* What becomes of value r in [0, 4q) at place j. */
enum {
    TO_WORDS,  /* out[j] = r mod q */
    TO_SUMS,   /* sum[p][j] += 2^-52 r key[p][j] for p = 0, 1 */
    TO_RESULT, /* out[j] = weight (2^52 minuend[j] - r) mod q */
};

/* For w times a sum: BIAS q, w, and w 2^52 mod q. */
typedef struct {
    vec bias;
    twiddle low, high;
} settling;

typedef struct {
    int kind;
    uint64_t *out;
    uint64_t *sum[2];
    const uint64_t *key[2];
    vec q_inverse; /* 1/q mod 2^52 */
    const uint64_t *minuend; /* a sum */
    settling settle;         /* by 2^52 weight */
    twiddle minus;           /* q - weight */
} sink;

/*
 * A product of v < 2^52 and a word below q is less than 2^52 q: its high half, less than q, minus h < q. So a term is in
 * (-q, q), and T of them on a beginning in [0, 2q) stay within (-T q, (T + 2) q).
 */
AVX512_INLINE vec add_term(vec sum, vec v, vec key, vec q_inverse, const field *f) {
    const vec h = montgomery(multiply_add_low(broadcast(0), v, key), q_inverse, f);
    return subtract(multiply_add_high(sum, v, key), h);
}

/* BIAS q is added to make sums of MOST_TERMS terms at most positive, and leaves them below 2^63. */
#define BIAS 4096
#define MOST_TERMS 4000

/* w s mod q in [0, 4q) for such a sum s: s + BIAS q = a 2^52 + b, a < 2^11, and two products in [0, 2q). */
AVX512_INLINE vec settled(vec sum, const settling *s, const field *f) {
    const vec raised = add(sum, s->bias);
    return add(mul_lazy(both(raised, f->mask), s->low, f), mul_lazy(shift_right(raised, 52), s->high, f));
}

/* [0, 4q) -> [0, q) */
AVX512_INLINE vec reduced(vec x, const field *f) {
    return subtract_bound(subtract_bound(x, f->q2), f->q);
}

AVX512_INLINE void emit(vec r, size_t j, const sink *to, int kind, const field *f) {
    if (kind == TO_WORDS) {
        store(to->out + j, reduced(r, f));
    } else if (kind == TO_SUMS) {
        for (int p = 0; p < 2; p++) {
            store(to->sum[p] + j, add_term(load(to->sum[p] + j), r, load(to->key[p] + j), to->q_inverse, f));
        }
    } else { /* 4q and 2q: less than 6q < 2^53 */
        const vec sum = add(settled(load(to->minuend + j), &to->settle, f), mul_lazy(r, to->minus, f));
        store(to->out + j, reduced(subtract_bound(sum, add(f->q2, f->q2)), f));
    }
}

/* The forward transform of the words in x, below 4q, which may be row; row is scratch unless it is to->out. */
CKKS_HIDDEN void ifma_ntt_to(const modulus *m, const uint64_t *x, uint64_t *row, const sink *to);

#endif
