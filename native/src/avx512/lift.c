/*
 * Lifting (lift.h) on 52-bit multiply-add, when every row is served by the kernels of this folder. Rows of work are
 * words; sums are signed words that stand for 2^52 times themselves (transform.h).
 */
#include "avx512/avx512.h"

#if CKKS_IFMA
#include "avx512/transform.h"
#include "lift.h"
#include "portable/modarith.h"


/* ---- constants of one q: once a row, and of public numbers ---- */

/* floor(w 2^52 / q) */
AVX512_INLINE twiddle twiddle_of(uint64_t w, const modulus *m) {
    return (twiddle){broadcast(w), broadcast((uint64_t)(((u128)w << 52) / m->q))};
}

/* 1/q mod 2^52, by Newton: q q = 1 mod 8, and the right bits double each time. */
static uint64_t inverse_word(const modulus *m) {
    uint64_t inverse = m->q;
    for (int bits = 3; bits < 52; bits *= 2) {
        inverse *= 2 - m->q * inverse;
    }
    return inverse & (TWO52 - 1);
}

/* w 2^-52 mod q: (w - k q) 2^-52 in (-q, 0] where k = w q^-1 mod 2^52. */
static uint64_t without_base(uint64_t w, const modulus *m) {
    const uint64_t k = w * inverse_word(m) & (TWO52 - 1), h = (uint64_t)(((u128)k * m->q) >> 52);
    CHECK(h < m->q);
    return h == 0 ? 0 : m->q - h;
}

AVX512_INLINE settling settling_of(uint64_t w, const modulus *m) {
    return (settling){broadcast(BIAS * m->q), twiddle_of(w, m), twiddle_of(mul_mod(m, w, m->two52), m)};
}

/* ---- splitting and joining ---- */

/* Rows of x < d to y = x [(D/d)^-1] mod d, and v += the fraction y/d of portable/convert.c. */
AVX512 static void fractions(const conversion *c, size_t i, size_t n, uint64_t *y, uint64_t *v) {
    const modulus *d = c->source[i];
    const field f = field_of(d);
    const twiddle inverse = twiddle_of(c->punctured_inverse[i], d);
    const vec reciprocal = broadcast(c->reciprocal[i]);
    for (size_t j = 0; j < n; j += 8) {
        const vec u = subtract_bound(mul_lazy(load(y + j), inverse, &f), f.q);
        store(y + j, u);
        store(v + j, multiply_add_high(load(v + j), shift_left(u, 52 - d->bits), reciprocal));
    }
}

AVX512 static void split(const conversion *c, modulus *const *m, const uint64_t *x, size_t many, const uint64_t *rest,
                         ptrdiff_t limb, const uint64_t *factor, ptrdiff_t factor_limb, uint64_t *work) {
    const size_t n = m[0]->n, apart = row_words(n);
    for (size_t j = 0; j < n; j += 8) {
        store(work + j, broadcast(c->offset));
    }
    for (size_t i = 0; i < c->a; i++) {
        const uint64_t *values = i < many ? x + (ptrdiff_t)i * limb : rest + (ptrdiff_t)(i - many) * limb;
        uint64_t *y = work + (i + 1) * apart;
        if (factor == NULL) {
            ifma_intt(m[i], values, y);
        } else {
            m[i]->rows->mul(m[i], n, values, factor + (ptrdiff_t)i * factor_limb, y);
            ifma_intt(m[i], y, y);
        }
        fractions(c, i, n, y, work);
    }
    for (size_t j = 0; j < n; j += 8) {
        store(work + j, shift_right(load(work + j), 51));
    }
}

/* Terms that are reduced together. */
#define GROUP 8

/*
 * sum_i y_i [D/d_i] - v [D] mod p in [0, 4p), of the terms from `first` on, a <= GROUP of them; v goes with the first
 * group. The weights are multiplied by 2^52, which the reduction takes out again. The products are below 2^50 p, and
 * v p <= 2^10 p: the high half of their sum is below (a/4 + 2^-42) p. Less h < p, plus p, that is in (0, (a/4 + 1) p + 1),
 * where a/4 + 1 <= 3.
 */
AVX512_INLINE void join(const conversion *c, size_t j, const modulus *p, size_t first, size_t a, const uint64_t *work,
                        uint64_t *out) {
    const size_t n = p->n, apart = row_words(n);
    const field f = field_of(p);
    const vec q_inverse = broadcast(inverse_word(p));
    const uint64_t *weights = c->punctured + j * c->a + first, *y = work + (first + 1) * apart;
    const vec minus_product = broadcast(mul_mod(p, c->product[j] == 0 ? 0 : p->q - c->product[j], p->two52));
    vec weight[GROUP];
    for (size_t i = 0; i < a; i++) {
        weight[i] = broadcast(mul_mod(p, weights[i], p->two52));
    }
    for (size_t k = 0; k < n; k += 8) {
        vec low = broadcast(0), high = broadcast(0);
        if (first == 0) {
            const vec v = load(work + k);
            low = multiply_add_low(low, v, minus_product), high = multiply_add_high(high, v, minus_product);
        }
        for (size_t i = 0; i < a; i++) {
            const vec u = load(y + i * apart + k);
            low = multiply_add_low(low, u, weight[i]), high = multiply_add_high(high, u, weight[i]);
        }
        high = add(high, shift_right(low, 52));
        vec sum = subtract(add(high, f.q), montgomery(both(low, f.mask), q_inverse, &f));
        if (first > 0) {
            sum = add(reduced(sum, &f), load(out + k)); /* [0, q) and [0, 2q) */
        }
        if (first + a < c->a) {
            sum = subtract_bound(sum, f.q2);
        }
        store(out + k, sum);
    }
}

/* The values for target j as coefficients in [0, 4p). */
AVX512 static void joined(const conversion *c, size_t j, const modulus *p, const uint64_t *work, uint64_t *out) {
    const size_t n = p->n;
    const uint64_t d = c->source[0]->q;
    if (c->a == 1 && d <= 3 * p->q) { /* [D/d] = 1: y - v d, v <= 1, in [0, 3p) + [0, p) */
        const vec minus_product = broadcast(p->q - c->product[j]);
        for (size_t k = 0; k < n; k += 8) {
            store(out + k, multiply_add_low(load(work + row_words(n) + k), load(work + k), minus_product));
        }
        return;
    }
    switch (c->a) {
    case 1: join(c, j, p, 0, 1, work, out); return;
    case 2: join(c, j, p, 0, 2, work, out); return;
    case 3: join(c, j, p, 0, 3, work, out); return;
    case 4: join(c, j, p, 0, 4, work, out); return;
    default: break;
    }
    for (size_t first = 0; first < c->a; first += GROUP) {
        join(c, j, p, first, c->a - first < GROUP ? c->a - first : GROUP, work, out);
    }
}

/* ---- sums ---- */

AVX512 static void begin(const modulus *m, const uint64_t *const addend[2], uint64_t weight, uint64_t *const sum[2]) {
    const field f = field_of(m);
    const twiddle w = twiddle_of(without_base(weight, m), m);
    for (size_t p = 0; p < 2; p++) {
        for (size_t j = 0; j < m->n; j += 8) {
            store(sum[p] + j, addend[p] == NULL ? broadcast(0) : mul_lazy(load(addend[p] + j), w, &f));
        }
    }
}

/* Products of residues are below q/4 2^52, two of them below q/2 2^52: less h, plus q, in (0, 2q). */
AVX512 static void begin_product(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2],
                                 uint64_t weight, uint64_t *const sum[2]) {
    const field f = field_of(m);
    const vec q_inverse = broadcast(inverse_word(m)), zero = broadcast(0);
    const twiddle w = twiddle_of(weight, m);
    for (size_t j = 0; j < m->n; j += 8) {
        const vec x0 = load(x[0] + j), x1 = load(x[1] + j), y0 = load(y[0] + j), y1 = load(y[1] + j);
        vec low = multiply_add_low(zero, x0, y0), high = multiply_add_high(f.q, x0, y0);
        store(sum[0] + j, mul_lazy(subtract(high, montgomery(low, q_inverse, &f)), w, &f));
        low = multiply_add_low(multiply_add_low(zero, x0, y1), x1, y0);
        high = add(multiply_add_high(multiply_add_high(f.q, x0, y1), x1, y0), shift_right(low, 52));
        store(sum[1] + j, mul_lazy(subtract(high, montgomery(both(low, f.mask), q_inverse, &f)), w, &f));
    }
}

AVX512 static void add_words(const modulus *m, const uint64_t *x, const uint64_t *factor, const uint64_t *const key[2],
                             size_t added, uint64_t *const sum[2]) {
    CHECK(added < MOST_TERMS);
    (void)added;
    const field f = field_of(m);
    const vec q_inverse = broadcast(inverse_word(m)), zero = broadcast(0);
    const twiddle base = twiddle_of(m->two52, m);
    for (size_t j = 0; j < m->n; j += 8) {
        vec v = load(x + j);
        if (factor != NULL) {
            const vec y = load(factor + j);
            const vec h = montgomery(multiply_add_low(zero, v, y), q_inverse, &f);
            v = mul_lazy(subtract(multiply_add_high(f.q, v, y), h), base, &f);
        }
        for (int p = 0; p < 2; p++) {
            store(sum[p] + j, add_term(load(sum[p] + j), v, load(key[p] + j), q_inverse, &f));
        }
    }
}

AVX512 static void add_lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work,
                              const uint64_t *const key[2], size_t added, uint64_t *row, uint64_t *const sum[2]) {
    CHECK(added < MOST_TERMS);
    (void)added;
    const sink to = {.kind = TO_SUMS,
                     .sum = {sum[0], sum[1]},
                     .key = {key[0], key[1]},
                     .q_inverse = broadcast(inverse_word(m))};
    joined(c, j, m, work, row);
    ifma_ntt_to(m, row, row, &to);
}

/* [-2^31, 2^31) -> [0, 4q): a negative integer is a huge word, and plus q a small one if q > 2^31. */
AVX512 static void add_small(const modulus *m, const int32_t *y, const uint64_t *const key[2], size_t added,
                             uint64_t *row, uint64_t *const sum[2]) {
    CHECK(added < MOST_TERMS);
    (void)added;
    const vec q = broadcast(m->q);
    const sink to = {.kind = TO_SUMS,
                     .sum = {sum[0], sum[1]},
                     .key = {key[0], key[1]},
                     .q_inverse = broadcast(inverse_word(m))};
    if (m->q >> 31 == 0) {
        for (size_t j = 0; j < m->n; j++) {
            row[j] = signed_word(m, y[j]);
        }
    } else {
        for (size_t j = 0; j < m->n; j += 8) {
            const vec v = load_narrow(y + j);
            store(row + j, minimum(v, add(v, q)));
        }
    }
    ifma_ntt_to(m, row, row, &to);
}

AVX512 static void lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work, uint64_t *out) {
    joined(c, j, m, work, out);
    ifma_ntt_to(m, out, out, &(sink){.kind = TO_WORDS, .out = out});
}

/*
 * A sum with a factor is settled to 2^52 times itself, what it stands for, and one product brings it back to a sum, in
 * (-q, q); alone it is settled as it is, in [0, 4q). So FEW of them on a total in [0, 4q) are within what settled() takes,
 * and every FEW times the total is settled itself.
 */
#define FEW 512

AVX512 static void add_sums(const modulus *m, uint64_t *const sum[2], const uint64_t *factor, size_t added,
                            uint64_t *const total[2]) {
    const field f = field_of(m);
    const vec q_inverse = broadcast(inverse_word(m)), zero = broadcast(0);
    const settling s = settling_of(factor == NULL ? 1 : m->two52, m);
    if (added > 0 && (added & (FEW - 1)) == 0) {
        const settling itself = settling_of(1, m);
        for (size_t p = 0; p < 2; p++) {
            for (size_t j = 0; j < m->n; j += 8) {
                store(total[p] + j, settled(load(total[p] + j), &itself, &f));
            }
        }
    }
    for (size_t p = 0; p < 2; p++) {
        for (size_t j = 0; j < m->n; j += 8) {
            const vec v = settled(load(sum[p] + j), &s, &f), before = added > 0 ? load(total[p] + j) : zero;
            store(total[p] + j, factor == NULL ? add(before, v) : add_term(before, v, load(factor + j), q_inverse, &f));
        }
    }
}

/* ---- the end ---- */

AVX512 static void store_words(const modulus *m, const uint64_t *sum, uint64_t *out) {
    const field f = field_of(m);
    const settling s = settling_of(m->two52, m);
    for (size_t j = 0; j < m->n; j += 8) {
        store(out + j, reduced(settled(load(sum + j), &s, &f), &f));
    }
}

AVX512 static void divide(const conversion *c, size_t j, const modulus *m, const uint64_t *work, const uint64_t *sum,
                          uint64_t weight, uint64_t *row, uint64_t *out) {
    const sink to = {.kind = TO_RESULT,
                     .out = out,
                     .minuend = sum,
                     .settle = settling_of(mul_mod(m, weight, m->two52), m),
                     .minus = twiddle_of(weight == 0 ? 0 : m->q - weight, m)};
    joined(c, j, m, work, row);
    ifma_ntt_to(m, row, row, &to);
}

const lift_kernels ifma_lift = {split,     begin,  begin_product, add_words,   add_lifted,
                                add_small, lifted, add_sums,      store_words, divide};
#endif
