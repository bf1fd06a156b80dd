/*
 * Arithmetic modulo one odd q < 2^50 on eight words at a time: products with a factor that is known beforehand (Shoup),
 * and products of any two words with their reduction to base 2^52 (Montgomery).
 */
#ifndef CKKS_AVX512_MODULAR_H
#define CKKS_AVX512_MODULAR_H

#include "avx512/avx512.h"
#include "avx512/vector.h"

#define TWO52 ((uint64_t)1 << 52)

/* A Shoup operand: w in [0, q) and floor(w 2^52 / q) < 2^52. */
typedef struct {
    vec value, quotient;
} twiddle;

/* The constants of one q. */
typedef struct {
    vec q, q2, minus_q, mask; /* q, 2q, 2^52 - q, 2^52 - 1 */
} field;

AVX512_INLINE field field_of(const modulus *m) {
    return (field){broadcast(m->q), broadcast(2 * m->q), broadcast(TWO52 - m->q), broadcast(TWO52 - 1)};
}

/* x in [0, 2 bound) -> x mod bound: x - bound wraps to a huge word when x < bound. */
AVX512_INLINE vec subtract_bound(vec x, vec bound) {
    return minimum(x, subtract(x, bound));
}

/*
 * w y mod q in [0, 2q) for any y < 2^52: as mul_shoup_lazy in modarith.h with 52 in place of 64 bits, the
 * remainder w y - h q < 2q < 2^51 being computed modulo 2^52 as w y + h (2^52 - q).
 */
AVX512_INLINE vec mul_lazy(vec y, twiddle w, const field *f) {
    const vec zero = broadcast(0);
    vec h = multiply_add_high(zero, w.quotient, y);
    vec r = multiply_add_low(multiply_add_low(zero, w.value, y), h, f->minus_q);
    return both(r, f->mask);
}

/*
 * h for which high - h = (high 2^52 + low) 2^-52 mod q, low < 2^52: with k = low q^-1 mod 2^52, low - k q is
 * -2^52 floor(k q / 2^52). 0 <= h < q.
 */
AVX512_INLINE vec montgomery(vec low, vec q_inverse, const field *f) {
    const vec zero = broadcast(0);
    return multiply_add_high(zero, multiply_add_low(zero, low, q_inverse), f->q);
}

#endif
