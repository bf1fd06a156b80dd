/*
 * Base conversion (portable/convert.c has the formula) when every prime is below 2^50, in doubles.
 */
#include "avx2/sum.h"
#include "portable/modarith.h"

#if CKKS_X86

/* y is kept on the stack as doubles, and v; a <= 1024, so one vector of columns at least fits. */
#define SCRATCH 4096
#define WIDEST 128

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
AVX2_INLINE ivec overflow_fraction(vec y, vec scaled_reciprocal) {
    const vec magic = _mm256_set1_pd(0x1p52);
    vec rounded = _mm256_fmadd_pd(y, scaled_reciprocal, magic);
    vec rest = _mm256_fmsub_pd(y, scaled_reciprocal, _mm256_sub_pd(rounded, magic));
    ivec up = _mm256_castpd_si256(_mm256_cmp_pd(rest, _mm256_setzero_pd(), _CMP_LT_OQ)); /* -1 where it did */
    ivec t = _mm256_sub_epi64(_mm256_castpd_si256(rounded), _mm256_castpd_si256(magic));
    return _mm256_add_epi64(t, up);
}

/* y_i = x_i [(D/d_i)^-1] mod d_i into row i of y, and the sums of overflow fractions into v. */
AVX2_INLINE void split(const conversion *c, size_t width, const uint64_t *x, ptrdiff_t x_limb, double *y,
                       uint64_t *v) {
    const ivec start = _mm256_set1_epi64x((long long)c->offset);
    for (size_t j = 0; j < width; j += 4) {
        _mm256_storeu_si256((ivec *)(v + j), start);
    }
    for (size_t i = 0; i < c->a; i++, x += x_limb, y += width) {
        const modulus *d = c->source[i];
        const field f = field_of(d);
        const vec inverse = word_everywhere(c->punctured_inverse[i]);
        const vec reciprocal = _mm256_set1_pd((double)c->reciprocal[i] / (double)((uint64_t)1 << d->bits));
        for (size_t j = 0; j < width; j += 4) {
            vec u = lift(mul(load_words(x + j), inverse, &f), &f);
            _mm256_storeu_pd(y + j, u);
            ivec sum = _mm256_add_epi64(_mm256_loadu_si256((ivec *)(v + j)), overflow_fraction(u, reciprocal));
            _mm256_storeu_si256((ivec *)(v + j), sum);
        }
    }
}

/* sum_i y_i [D/d_i] + v (p - [D]) mod p for the 4 `lanes` columns at y and v. */
AVX2_INLINE void combine(const modulus *p, size_t lanes, size_t a, size_t width, const uint64_t *weights,
                         uint64_t product, const double *y, const uint64_t *v, uint64_t *out) {
    const field f = field_of(p);
    const vec factor = high_factor(p), minus_product = word_everywhere(p->q - product);
    vec total[4];
    lazy_sum sum[4];
    for (size_t i = 0; i < lanes; i++) {
        ivec count = _mm256_srli_epi64(_mm256_loadu_si256((const ivec *)(v + 4 * i)), 51);
        total[i] = _mm256_setzero_pd();
        sum[i] = empty_sum();
        add_product(&sum[i], from_words(count), minus_product);
    }
    for (size_t k = 0, room = SUM_TERMS - 1; k < a; k++, y += width, room--) {
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
        store_words(out + 4 * i, fold_sum(&sum[i], total[i], factor, &f), &f);
    }
}

AVX2 void avx2_convert(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb, uint64_t *out,
                       ptrdiff_t out_limb) {
    double y[SCRATCH];
    uint64_t v[WIDEST];
    const size_t room = SCRATCH / c->a / 4 * 4, block = room < WIDEST ? room : WIDEST, whole = count / 4 * 4;
    for (size_t start = 0; start < whole; start += block) {
        const size_t width = whole - start < block ? whole - start : block;
        split(c, width, x + start, x_limb, y, v);
        for (size_t j = 0; j < c->b; j++) {
            const uint64_t *weights = c->punctured + j * c->a;
            uint64_t *row = out + (ptrdiff_t)j * out_limb + start;
            size_t i = 0;
            for (; i + 16 <= width; i += 16) {
                combine(c->target[j], 4, c->a, width, weights, c->product[j], y + i, v + i, row + i);
            }
            for (; i < width; i += 4) {
                combine(c->target[j], 1, c->a, width, weights, c->product[j], y + i, v + i, row + i);
            }
        }
    }
    if (whole < count) {
        portable_convert(c, count - whole, x + whole, x_limb, out + whole, out_limb);
    }
}
#endif
