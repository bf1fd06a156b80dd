/*
 * Base conversion (portable/convert.c has the formula) when every prime is below 2^50, in doubles.
 */
#include "avx2/sum.h"
#include "portable/modarith.h"

#if CKKS_X86

/* y is kept on the stack as doubles, and v; a <= 1024, so one vector of columns at least fits. */
#define SCRATCH 4096
#define WIDEST 512

/* For q = 3 the errors of a sum (sum.h), 6 2^50, over the prime would reach 2^51, and reduce() fail. */
#define SMALLEST_TARGET 5

int avx2_converts(const conversion *c) {
    for (size_t i = 0; i < c->a; i++) {
        if (c->source[i]->q >= FAST_LIMIT) {
            return 0;
        }
    }
    for (size_t j = 0; j < c->b; j++) {
        if (c->target[j]->q >= FAST_LIMIT || c->target[j]->q < SMALLEST_TARGET) {
            return 0;
        }
    }
    return 1;
}

/*
 * t = floor(y r / 2^b) as an integer: the formula's s = y 2^(52-b) makes s r / 2^52 = y (r 2^-b), with r < 2^52.
 * fl(2^52 + y (r 2^-b)) rounds z = y (r 2^-b) < 2^51 (1 + 2^-b) to an integer; z minus that is a multiple of 2^-b below
 * 1/2 in size, exact in one fma, and negative exactly when the rounding went up.
 */
AVX2_INLINE ivec overflow_fractions(vec y, vec scaled_reciprocal) {
    const vec magic = _mm256_set1_pd(0x1p52);
    vec rounded = _mm256_fmadd_pd(y, scaled_reciprocal, magic);
    vec rest = _mm256_fmsub_pd(y, scaled_reciprocal, _mm256_sub_pd(rounded, magic));
    ivec up = _mm256_castpd_si256(_mm256_cmp_pd(rest, _mm256_setzero_pd(), _CMP_LT_OQ)); /* -1 where it did */
    ivec t = _mm256_sub_epi64(_mm256_castpd_si256(rounded), _mm256_castpd_si256(magic));
    return _mm256_add_epi64(t, up);
}

/* One prime: what every target takes, u - v d, so that nothing is left to combine. */
AVX2_INLINE void split_one(const conversion *c, size_t width, const uint64_t *x, double *y) {
    const modulus *d = c->source[0];
    const ivec start = _mm256_set1_epi64x((long long)c->offset);
    const vec minuend = _mm256_set1_pd(d->fp);
    const vec reciprocal = _mm256_set1_pd((double)c->reciprocal[0] / (double)((uint64_t)1 << d->bits));
    for (size_t j = 0; j < width; j += 4) {
        vec u = load_words(x + j);
        vec v = from_words(_mm256_srli_epi64(_mm256_add_epi64(start, overflow_fractions(u, reciprocal)), 51));
        _mm256_storeu_pd(y + j, _mm256_fnmadd_pd(v, minuend, u));
    }
}

AVX2 void avx2_split(const conversion *c, size_t width, const uint64_t *x, ptrdiff_t x_limb, double *y, size_t apart,
                     double *v) {
    if (c->a == 1) {
        split_one(c, width, x, y);
        return;
    }
    const ivec start = _mm256_set1_epi64x((long long)c->offset);
    ivec *sums = (ivec *)v;
    for (size_t j = 0; j < width / 4; j++) {
        _mm256_storeu_si256(sums + j, start);
    }
    for (size_t i = 0; i < c->a; i++, x += x_limb, y += apart) {
        const modulus *d = c->source[i];
        const field f = field_of(d);
        const vec inverse = word_everywhere(c->punctured_inverse[i]);
        const vec reciprocal = _mm256_set1_pd((double)c->reciprocal[i] / (double)((uint64_t)1 << d->bits));
        for (size_t j = 0; j < width / 4; j++) {
            vec u = load_words(x + 4 * j);
            u = lift(mul(u, inverse, &f), &f);
            _mm256_storeu_pd(y + 4 * j, u);
            ivec sum = _mm256_add_epi64(_mm256_loadu_si256(sums + j), overflow_fractions(u, reciprocal));
            _mm256_storeu_si256(sums + j, sum);
        }
    }
    for (size_t j = 0; j < width; j += 4) {
        _mm256_storeu_pd(v + j, from_words(_mm256_srli_epi64(_mm256_loadu_si256((const ivec *)(v + j)), 51)));
    }
}

/*
 * sum_i y_i [D/d_i] - v [D] mod p, |result| <= p/2 + 1, for 2 to FEW terms: each product reduced by itself, at six
 * instructions, four of them independent of all else. |y_i| < 2^50 and centred weights make products below 5/8 p + 1;
 * v <= a times |[D]| < p/2 is exact. Six of both stay below 7 p + 6 < 2^53, which is reduced once.
 */
#define FEW 6

AVX2_INLINE void combine_few(const conversion *c, size_t j, size_t a, size_t width, const double *y, size_t apart,
                             const double *v, double *out) {
    const modulus *p = c->target[j];
    const field f = field_of(p);
    const vec product = _mm256_set1_pd(centred_double(c->product[j], p->q));
    factor weights[FEW];
    for (size_t i = 0; i < a; i++) {
        weights[i] = factor_of(_mm256_set1_pd(centred_double(c->punctured[j * c->a + i], p->q)), &f);
    }
    for (size_t k = 0; k < width; k += 4) {
        vec sum = _mm256_setzero_pd();
        for (size_t i = 0; i < a; i++) {
            vec u = _mm256_loadu_pd(y + i * apart + k);
            sum = _mm256_add_pd(sum, mul_factor(u, weights[i], &f));
        }
        _mm256_storeu_pd(out + k, reduce(_mm256_fnmadd_pd(_mm256_loadu_pd(v + k), product, sum), &f));
    }
}

AVX2_INLINE void reduce_row(const modulus *p, size_t width, const double *y, double *out) {
    const field f = field_of(p);
    for (size_t k = 0; k < width; k += 4) {
        _mm256_storeu_pd(out + k, reduce(_mm256_loadu_pd(y + k), &f));
    }
}

/* The same for any number of terms, by lazy sums, for the 4 `lanes` columns at y and v. */
AVX2_INLINE void combine_many(const conversion *c, size_t j, size_t lanes, const double *y, size_t apart,
                              const double *v, double *out) {
    const modulus *p = c->target[j];
    const uint64_t *weights = c->punctured + j * c->a;
    const field f = field_of(p);
    const vec factor = high_factor(p), minus_product = word_everywhere(p->q - c->product[j]);
    vec total[4];
    lazy_sum sum[4];
    for (size_t i = 0; i < lanes; i++) {
        total[i] = _mm256_setzero_pd();
        sum[i] = empty_sum();
        add_product(&sum[i], _mm256_loadu_pd(v + 4 * i), minus_product);
    }
    for (size_t k = 0, room = SUM_TERMS - 1; k < c->a; k++, y += apart, room--) {
        if (room == 0) {
            for (size_t i = 0; i < lanes; i++) {
                total[i] = fold_sum(&sum[i], total[i], factor, &f);
                sum[i] = empty_sum();
            }
            room = SUM_TERMS;
        }
        const vec weight = word_everywhere(weights[k]);
        for (size_t i = 0; i < lanes; i++) {
            add_product(&sum[i], _mm256_loadu_pd(y + 4 * i), weight);
        }
    }
    for (size_t i = 0; i < lanes; i++) {
        _mm256_storeu_pd(out + 4 * i, fold_sum(&sum[i], total[i], factor, &f));
    }
}

AVX2 void avx2_combine(const conversion *c, size_t j, size_t width, const double *y, size_t apart, const double *v,
                       double *out) {
    switch (c->a) {
    case 1: reduce_row(c->target[j], width, y, out); return;
    case 2: combine_few(c, j, 2, width, y, apart, v, out); return;
    case 3: combine_few(c, j, 3, width, y, apart, v, out); return;
    case 4: combine_few(c, j, 4, width, y, apart, v, out); return;
    case 5: combine_few(c, j, 5, width, y, apart, v, out); return;
    case 6: combine_few(c, j, 6, width, y, apart, v, out); return;
    default: break;
    }
    size_t k = 0;
    for (; k + 16 <= width; k += 16) {
        combine_many(c, j, 4, y + k, apart, v + k, out + k);
    }
    for (; k < width; k += 4) {
        combine_many(c, j, 1, y + k, apart, v + k, out + k);
    }
}

AVX2 void avx2_convert(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb, uint64_t *out,
                       ptrdiff_t out_limb) {
    double y[SCRATCH], v[WIDEST];
    const size_t room = SCRATCH / c->a / 4 * 4, block = room < WIDEST ? room : WIDEST, whole = count / 4 * 4;
    for (size_t start = 0; start < whole; start += block) {
        const size_t width = whole - start < block ? whole - start : block;
        avx2_split(c, width, x + start, x_limb, y, width, v);
        for (size_t j = 0; j < c->b; j++) {
            const field f = field_of(c->target[j]);
            uint64_t *row = out + (ptrdiff_t)j * out_limb + start;
            avx2_combine(c, j, width, y, width, v, (double *)row);
            for (size_t k = 0; k < width; k += 4) {
                store_words(row + k, _mm256_loadu_pd((const double *)row + k), &f);
            }
        }
    }
    if (whole < count) {
        portable_convert(c, count - whole, x + whole, x_limb, out + whole, out_limb);
    }
}
#endif
