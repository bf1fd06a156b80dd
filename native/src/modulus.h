/*
 * What the source files share: the constants of a modulus, and the table of row kernels that serve it.
 */
#ifndef CKKS_MODULUS_H
#define CKKS_MODULUS_H

#include "kernels.h"

#if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__) && !defined(CKKS_PORTABLE_ONLY)
#define CKKS_X86 1
#else
#define CKKS_X86 0
#endif

#if defined(__GNUC__)
#define CKKS_INLINE static inline __attribute__((always_inline))
#define CKKS_HIDDEN __attribute__((visibility("hidden")))
#else
#define CKKS_INLINE static inline
#define CKKS_HIDDEN
#endif

/* A build with -DCKKS_CHECK asserts the range contracts that the comments state. */
#ifdef CKKS_CHECK
#include <stdio.h>
#include <stdlib.h>
#define CHECK(condition)                                                                          \
    ((condition) ? (void)0                                                                        \
                 : (fprintf(stderr, "%s:%d: range contract broken: %s\n", __FILE__, __LINE__, #condition), abort()))
#else
#define CHECK(condition) ((void)0)
#endif

/* Primes below this run on the floating-point and the 52-bit kernels. */
#define FAST_LIMIT ((uint64_t)1 << 50)

/*
 * Kernels on one row of `count` words modulo one q; the transforms take a whole row of m->n words. count is any
 * number; an x of several terms adds k * x_term. Rows may coincide with out, never overlap partly.
 */
typedef struct row_kernels {
    const char *name;
    void (*ntt)(const modulus *m, const uint64_t *x, uint64_t *out);
    void (*intt)(const modulus *m, const uint64_t *x, uint64_t *out);
    void (*add)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
    void (*sub)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
    void (*mul)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
    void (*add_scalar)(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
    void (*mul_scalar)(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
    void (*mul_scalar_add)(const modulus *m, size_t count, const uint64_t *x, uint64_t w, const uint64_t *y,
                           uint64_t *out);
    void (*sub_mul_scalar)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t w,
                           uint64_t *out);
    /* (x0 y0, x0 y1 + x1 y0, x1 y1) */
    void (*tensor)(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2], uint64_t *const out[3]);
    void (*dot)(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                const uint64_t *y, ptrdiff_t y_term, uint64_t *out);
    /* Dot products of one or two x, rows `count` apart, that share y, of which a word stands for `repeat` columns, a power of
     * two. At most 1024 terms. NULL where spreading y out, and dot, do as well. */
    void (*combine)(const modulus *m, size_t count, size_t terms, size_t entries, const uint64_t *const x[2],
                    size_t repeat, const uint64_t *y, ptrdiff_t y_term, uint64_t *const out[2]);
    void (*weighted_sum)(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                         const uint64_t *w, ptrdiff_t w_term, uint64_t *out);
    /* out[j] = x[index[j] mod n], n a power of two; out is apart from x. */
    void (*gather)(size_t n, const uint64_t *x, const int64_t *index, uint64_t *out);
    /* Residues of high 2^52 + low; high may be NULL. */
    void (*signed_words)(const modulus *m, size_t count, const int64_t *low, const int64_t *high, uint64_t *out);
    void (*mul_add)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                    uint64_t *out);
    void (*neg_mul_add)(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, const uint64_t *z,
                        uint64_t *out);
    void (*small_words)(const modulus *m, size_t count, const int8_t *x, uint64_t *out);
    void (*rounded_words)(const modulus *m, size_t count, const double *x, double scale, uint64_t *out);
    /* Fill m->forward and m->inverse, in whatever layout ntt and intt read; 0 when out of memory. */
    int (*prepare)(modulus *m, uint64_t psi);
} row_kernels;

struct modulus {
    const row_kernels *rows;
    size_t n;
    unsigned log_n, bits; /* n = 2^log_n; 2^(bits-1) <= q < 2^bits */
    uint64_t q;
    uint64_t product_quotient; /* floor(2^(bits+62) / q) < 2^63: Barrett for products */
    uint64_t word_quotient;    /* floor(2^64 / q): Barrett for one word */
    uint64_t word, word_shoup; /* 2^64 mod q and its Shoup quotient: folds the high word of a sum */
    uint64_t two52;            /* 2^52 mod q */
    uint64_t two82;            /* 2^82 mod q, for q < 2^50 */
    uint64_t one_shoup52, two52_shoup52, two82_shoup52; /* floor(w 2^52 / q) of 1 and of these, for q < 2^50 */
    uint64_t n_inverse, n_inverse_shoup;
    double fp, fp_inverse;     /* q and the double nearest 1/q, for q < 2^50 */
    double two51;              /* 2^51 mod q in (-q/2, q/2), for q < 2^50 */
    uint32_t reduce_forward, reduce_inverse; /* avx2/ntt.c: which passes reduce */
    int lazy_sums;                           /* avx2/transform.h: what a transform leaves need not be reduced */
    void *forward, *inverse;
};

/* A base conversion with the constants of every modulus involved. */
struct conversion {
    size_t a, b;
    uint64_t offset; /* what the sum of fractions starts from: see Conversion.offset */
    modulus **source, **target;                              /* a and b */
    uint64_t *punctured_inverse, *punctured, *product, *reciprocal; /* a, b x a, b, a */
    /* Columns [0, count) of one batch entry; limb i of x at x + i * x_limb. */
    void (*rows)(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb, uint64_t *out,
                 ptrdiff_t out_limb);
};

/* portable/ */
extern CKKS_HIDDEN const row_kernels portable_rows;
CKKS_HIDDEN int portable_prepare(modulus *m, uint64_t psi);
CKKS_HIDDEN void portable_ntt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void portable_intt(const modulus *m, const uint64_t *x, uint64_t *out);
CKKS_HIDDEN void portable_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void portable_sub(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void portable_mul(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void portable_add_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
CKKS_HIDDEN void portable_mul_scalar(const modulus *m, size_t count, const uint64_t *x, uint64_t w, uint64_t *out);
CKKS_HIDDEN void portable_mul_scalar_add(const modulus *m, size_t count, const uint64_t *x, uint64_t w,
                                         const uint64_t *y, uint64_t *out);
CKKS_HIDDEN void portable_sub_mul_scalar(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                                         uint64_t w, uint64_t *out);
CKKS_HIDDEN void portable_tensor(const modulus *m, const uint64_t *const x[2], const uint64_t *const y[2],
                                 uint64_t *const out[3]);
CKKS_HIDDEN void portable_gather(size_t n, const uint64_t *x, const int64_t *index, uint64_t *out);
CKKS_HIDDEN void portable_dot(const modulus *m, size_t count, size_t terms, const uint64_t *x, ptrdiff_t x_term,
                              const uint64_t *y, ptrdiff_t y_term, uint64_t *out);
CKKS_HIDDEN void portable_weighted_sum(const modulus *m, size_t count, size_t terms, const uint64_t *x,
                                       ptrdiff_t x_term, const uint64_t *w, ptrdiff_t w_term, uint64_t *out);
CKKS_HIDDEN void portable_signed_words(const modulus *m, size_t count, const int64_t *low, const int64_t *high,
                                       uint64_t *out);
/* Target j of a conversion, from rows y_i `apart` words from each other and the overflow counts v. */
CKKS_HIDDEN void portable_combine(const conversion *c, size_t j, size_t width, const uint64_t *y, size_t apart,
                                  const uint64_t *v, uint64_t *out);
CKKS_HIDDEN void portable_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                                  const uint64_t *z, uint64_t *out);
CKKS_HIDDEN void portable_neg_mul_add(const modulus *m, size_t count, const uint64_t *x, const uint64_t *y,
                                      const uint64_t *z, uint64_t *out);
CKKS_HIDDEN void portable_small_words(const modulus *m, size_t count, const int8_t *x, uint64_t *out);
CKKS_HIDDEN void portable_rounded_words(const modulus *m, size_t count, const double *x, double scale, uint64_t *out);
CKKS_HIDDEN size_t portable_take_below(uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out);
CKKS_HIDDEN void portable_binomial(size_t count, const uint64_t *x, int8_t *out);
CKKS_HIDDEN void portable_convert(const conversion *c, size_t count, const uint64_t *x, ptrdiff_t x_limb,
                                  uint64_t *out, ptrdiff_t out_limb);

/* dispatch.c: the row kernels of a variant for modulus q and row length n, and its base conversion. */
CKKS_HIDDEN const row_kernels *choose_rows(int variant, size_t n, uint64_t q);
CKKS_HIDDEN void choose_convert(int variant, conversion *c);

/* modulus.c: psi^brv(i) mod q for i in [0, n), and memory on a 64-byte boundary (NULL when there is none). */
CKKS_HIDDEN void bit_reversed_powers(const modulus *m, uint64_t psi, uint64_t *powers);
CKKS_HIDDEN uint64_t inverse_root(const modulus *m, uint64_t psi);
CKKS_HIDDEN void *aligned_words(size_t words);
CKKS_HIDDEN void aligned_free(void *block);

#endif
