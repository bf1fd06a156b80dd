/*
 * Lifting (lift.h) when every prime is below 2^50 and the transforms are those of this folder. Rows of work and scratch are doubles; sums are reduced to q/2 + 1
 * at most every tenth time, and in the end.
 */
#include "avx2/transform.h"
#include "lift.h"
#include "portable/modarith.h"

#if CKKS_X86

/* Columns that go through the rows of a conversion before the next. */
#define BLOCK 512

AVX2 static void split(const conversion *c, modulus *const *m, const uint64_t *x, size_t many,
                       const uint64_t *rest, ptrdiff_t limb, const uint64_t *factor, ptrdiff_t factor_limb,
                       uint64_t *work) {
    const size_t n = m[0]->n, apart = row_words(n);
    double *v = (double *)work, *y = v + apart;
    for (size_t i = 0; i < c->a; i++) {
        const uint64_t *values = i < many ? x + (ptrdiff_t)i * limb : rest + (ptrdiff_t)(i - many) * limb;
        uint64_t *row = work + (i + 1) * apart;
        if (factor == NULL) {
            m[i]->rows->intt(m[i], values, row);
        } else {
            m[i]->rows->mul(m[i], n, values, factor + (ptrdiff_t)i * factor_limb, row);
            m[i]->rows->intt(m[i], row, row);
        }
    }
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t width = n - start < BLOCK ? n - start : BLOCK;
        avx2_split(c, width, work + apart + start, (ptrdiff_t)apart, y + start, apart, v + start);
    }
}

AVX2 static void begin(const modulus *m, const uint64_t *const addend[2], uint64_t weight, uint64_t *const sum[2]) {
    const field f = field_of(m);
    const factor w = factor_of(_mm256_set1_pd(centred_double(weight, m->q)), &f);
    for (size_t p = 0; p < 2; p++) {
        for (size_t j = 0; j < m->n; j += 4) {
            vec v = addend[p] == NULL ? _mm256_setzero_pd() : mul_factor(load_words(addend[p] + j), w, &f);
            _mm256_storeu_pd((double *)sum[p] + j, v);
        }
    }
}

/* A product of residues is below 3/4 q + 1 in size, two are below 1.5 q + 2: times less than q/2, both are within the
 * 2^51 q that mul_factor() takes, and it leaves less than 11/16 q + 2. */
AVX2 static void begin_product(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2],
                               uint64_t weight, uint64_t *const sum[2]) {
    const field f = field_of(m);
    const factor w = factor_of(_mm256_set1_pd(centred_double(weight, m->q)), &f);
    for (size_t j = 0; j < m->n; j += 4) {
        vec x0 = load_words(x[0] + j), x1 = load_words(x[1] + j), y0 = load_words(y[0] + j), y1 = load_words(y[1] + j);
        vec cross = _mm256_add_pd(mul(x0, y1, &f), mul(x1, y0, &f));
        _mm256_storeu_pd((double *)sum[0] + j, mul_factor(mul(x0, y0, &f), w, &f));
        _mm256_storeu_pd((double *)sum[1] + j, mul_factor(cross, w, &f));
    }
}

/* See emit() in transform.h for the room. */
AVX2 static void make_room(const modulus *m, size_t added, uint64_t *const sum[2]) {
    if (added % 10 != 9) {
        return;
    }
    const field f = field_of(m);
    for (size_t p = 0; p < 2; p++) {
        double *s = (double *)sum[p];
        for (size_t j = 0; j < m->n; j += 4) {
            _mm256_storeu_pd(s + j, reduce(_mm256_loadu_pd(s + j), &f));
        }
    }
}

AVX2 static void add_words(const modulus *m, const uint64_t *x, const uint64_t *factor, const uint64_t *const key[2],
                           size_t added, uint64_t *const sum[2]) {
    make_room(m, added, sum);
    const field f = field_of(m);
    const sink to = {.lazy = m->lazy_sums, .sum = {(double *)sum[0], (double *)sum[1]}, .key = {key[0], key[1]}};
    for (size_t j = 0; j < m->n; j += 4) {
        vec v = load_words(x + j);
        emit(reduce(factor == NULL ? v : mul(v, load_words(factor + j), &f), &f), j, &to, TO_SUMS, &f);
    }
}

/* Is y of a single prime, centred or not, below the target in size? */
AVX2_INLINE int reals_below(const conversion *c, const modulus *m) {
    const uint64_t d = c->source[0]->q;
    return c->a == 1 && (c->offset == 0 ? d : d / 2 + 2) <= m->q;
}

AVX2_INLINE void lift_to(const conversion *c, size_t j, const modulus *m, const uint64_t *work, const sink *to) {
    const size_t n = m->n, apart = row_words(n);
    const double *v = (const double *)work;
    if (reals_below(c, m)) {
        avx2_ntt_to(m, v + apart, to);
        return;
    }
    avx2_combine(c, j, n, v + apart, apart, v, to->row);
    avx2_ntt_to(m, to->row, to);
}

AVX2 static void add_lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work,
                            const uint64_t *const key[2], size_t added, uint64_t *row, uint64_t *const sum[2]) {
    make_room(m, added, sum);
    const sink to = {.kind = TO_SUMS,
                     .lazy = m->lazy_sums,
                     .row = (double *)row,
                     .sum = {(double *)sum[0], (double *)sum[1]},
                     .key = {key[0], key[1]}};
    lift_to(c, j, m, work, &to);
}

AVX2 static void add_small(const modulus *m, const int32_t *y, const uint64_t *const key[2], size_t added,
                           uint64_t *row, uint64_t *const sum[2]) {
    make_room(m, added, sum);
    const field f = field_of(m);
    const sink to = {.kind = TO_SUMS,
                     .lazy = m->lazy_sums,
                     .row = (double *)row,
                     .sum = {(double *)sum[0], (double *)sum[1]},
                     .key = {key[0], key[1]}};
    for (size_t j = 0; j < m->n; j += 4) {
        const vec v = _mm256_cvtepi32_pd(_mm_loadu_si128((const __m128i *)(y + j)));
        _mm256_storeu_pd(to.row + j, reduce(v, &f));
    }
    avx2_ntt_to(m, to.row, &to);
}

AVX2 static void lifted(const conversion *c, size_t j, const modulus *m, const uint64_t *work, uint64_t *out) {
    const sink to = {.kind = TO_WORDS, .row = (double *)out};
    lift_to(c, j, m, work, &to);
}

/* The sums are reduced first, so that eight terms (products below 5/8 q + 1 at most) on a reduced total stay below 6 q:
 * with a lifted value, which may be 2^51 where sums are lazy, below 2^53. */
AVX2 static void add_sums(const modulus *m, uint64_t *const sum[2], const uint64_t *factor, size_t added,
                          uint64_t *const total[2]) {
    const field f = field_of(m);
    for (size_t p = 0; p < 2; p++) {
        const double *from = (const double *)sum[p];
        double *to = (double *)total[p];
        for (size_t i = 0; i < m->n; i += 4) {
            vec v = reduce(_mm256_loadu_pd(from + i), &f);
            if (factor != NULL) {
                v = mul(v, load_words(factor + i), &f);
            }
            if (added > 0) {
                vec before = _mm256_loadu_pd(to + i);
                v = _mm256_add_pd(added % 8 == 7 ? reduce(before, &f) : before, v);
            }
            _mm256_storeu_pd(to + i, v);
        }
    }
}

AVX2 static void store(const modulus *m, const uint64_t *sum, uint64_t *out) {
    const field f = field_of(m);
    for (size_t j = 0; j < m->n; j += 4) {
        store_words(out + j, reduce(_mm256_loadu_pd((const double *)sum + j), &f), &f);
    }
}

AVX2 static void divide(const conversion *c, size_t j, const modulus *m, const uint64_t *work, const uint64_t *sum,
                        uint64_t weight, uint64_t *row, uint64_t *out) {
    const sink to = {.kind = TO_RESULT,
                     .lazy = m->lazy_sums,
                     .row = (double *)row,
                     .minuend = (const double *)sum,
                     .weight = centred_double(weight, m->q),
                     .out = out};
    lift_to(c, j, m, work, &to);
}

const lift_kernels avx2_lift = {split,     begin,  begin_product, add_words, add_lifted,
                                add_small, lifted, add_sums,      store,     divide};
#endif
