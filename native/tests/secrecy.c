/*
 * No branch and no address in a kernel depends on a residue: valgrind's memcheck is told that all operands are
 * undefined, and reports every jump and every index computed from them. Divisions are caught as well where they
 * become calls or trap; the sources hold none on operands. Run by tests/kernels/test_secrecy.py:
 *
 *     cc -O2 -I include -I src tests/secrecy.c src/...c -o secrecy && valgrind -q --error-exitcode=9 ./secrecy 1
 *
 * The argument is the variant. With a second argument, a branch on a residue is made on purpose: valgrind must fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "kernels.h"

enum { N = 256, LIMBS = 3, TERMS = 40 };

/* Primes 1 mod 512 of 50, 30 and 61 bits, and for each a root of order 512; made by the test, in this order. */
static const uint64_t moduli[LIMBS] = {MODULI}, roots[LIMBS] = {ROOTS};

static uint64_t x[TERMS * LIMBS * N], y[TERMS * LIMBS * N], out[LIMBS * N];
static int64_t low[N], high[N], places[N];
static uint64_t w[TERMS * LIMBS];
static double reals[N];
static int8_t tiny[N];
static uint8_t packed[8 * LIMBS * N];
/* Two-bit candidates, half of whose bits are hidden: 0 or 1, 0 or 2, and 3, which is told apart from them. */
static uint8_t crumbs[N];

static void hide(void) {
    VALGRIND_MAKE_MEM_UNDEFINED(x, sizeof x);
    VALGRIND_MAKE_MEM_UNDEFINED(y, sizeof y);
    VALGRIND_MAKE_MEM_UNDEFINED(w, sizeof w);
    VALGRIND_MAKE_MEM_UNDEFINED(low, sizeof low);
    VALGRIND_MAKE_MEM_UNDEFINED(high, sizeof high);
    VALGRIND_MAKE_MEM_UNDEFINED(reals, sizeof reals);
    VALGRIND_MAKE_MEM_UNDEFINED(packed, sizeof packed);
    for (size_t j = 0; j < N; j++) {
        uint8_t hidden = 0x21; /* of 3 0 0 0, lowest last: one bit of the third and of the first candidate */
        crumbs[j] = 0xc0;
        VALGRIND_SET_VBITS(crumbs + j, &hidden, 1);
    }
}

/* ---- key switching: gadgets of fast primes, of many digits and of long ones, and one with a wide prime ---- */

enum { FAST = 13, DIGITS = 12 };

/* Primes 1 mod 512 of 50 and 47 bits, and a root of order 512 for each. */
static const uint64_t fast_moduli[FAST] = {FAST_MODULI}, fast_roots[FAST] = {FAST_ROOTS};

/* Rows of memory that nobody has written to: undefined, and of no type yet. */
static operand hidden(size_t parts, size_t limbs) {
    const ptrdiff_t part = (ptrdiff_t)(limbs * N);
    return (operand){malloc(parts * limbs * N * sizeof(uint64_t)), part, part, N};
}

/* parts: 0 for the digits alone, UNDIVIDED for the terms one by one. */
enum { UNDIVIDED = 9 };

static void run(const gadget *g, const quotient *q, job j, size_t parts, const operand *out) {
    j.out = (result){(uint64_t *)out->data, out->part, out->batch, out->limb};
    j.parts = parts % UNDIVIDED, j.batch = j.threads = 1;
    j.space = malloc(ckks_switch_space(g, q, &j) * sizeof(uint64_t));
    if (parts == UNDIVIDED) {
        ckks_lift(g, q, &j);
    } else if (parts > 0) {
        ckks_switch(g, q, &j);
    } else {
        ckks_decompose(g, q, &j);
    }
    free(j.space);
}

/* Every job there is, over `limbs` primes of which the first `special` are special. */
static void switch_over(int variant, modulus *const *m, const uint64_t *primes, size_t limbs, size_t special,
                        size_t digits, const size_t *bounds) {
    uint64_t ones[FAST * FAST], targets[FAST];
    conversion *lifts[DIGITS + 1];
    for (size_t i = 0; i < FAST * FAST; i++) {
        ones[i] = 1; /* constants that are any numbers will do */
    }
    for (size_t d = 0; d <= digits; d++) {
        /* The last one is the quotient's, by the special primes. */
        const size_t first = d < digits ? bounds[d] : 0, last = d < digits ? bounds[d + 1] : special;
        for (size_t i = 0, b = 0; i < limbs; i++) {
            if (i < first || i >= last) {
                targets[b++] = primes[i];
            }
        }
        lifts[d] = ckks_conversion_new(variant, last - first, limbs - (last - first), primes + first, targets, ones, ones,
                                       ones, ones, 1);
    }
    const int form = ckks_lift_form(limbs, m, digits + 1, lifts);
    const gadget g = {form, m, limbs, special, digits, bounds, lifts, ones};
    const quotient q = {form, m, limbs, special, 0, m, lifts[digits], ones};
    const size_t kept = limbs - special;
    const operand u = hidden(2, kept), v = hidden(2, kept), joint = hidden(1, limbs), made = hidden(digits, limbs);
    const operand to = hidden(digits + 6, limbs), pairs = hidden(2 * digits, limbs);
    const operand key = {pairs.data, pairs.part, 2 * pairs.part, pairs.limb};
    const operand second = {u.data + u.part, u.part, u.batch, u.limb}, other = {v.data + v.part, v.part, v.batch, v.limb};
    const operand keys[3] = {key, {NULL, 0, 0, 0}, key}, factors[3] = {joint, joint, {NULL, 0, 0, 0}};
    int64_t turned[N];
    for (size_t k = 0; k < N; k++) {
        turned[k] = (int64_t)(k * 5 % N);
    }
    const int64_t *const indices[3] = {turned, NULL, turned};
    run(&g, &q, (job){.x = u, .keys = &key, .addend = v, .addend_parts = 2, .index = turned}, 2, &to);
    run(&g, &q, (job){.x = second, .factor = other, .left = u, .right = v, .keys = &key}, 2, &to);
    run(&g, &q, (job){.digits = made, .addend = u, .addend_parts = 1, .x = second, .terms = 3, .keys = keys,
                      .factors = factors, .indices = indices}, 2, &to);
    run(&g, &q, (job){.digits = made, .addend = u, .addend_parts = 1, .x = second, .terms = 3, .keys = keys,
                      .indices = indices}, UNDIVIDED, &to);
    run(&g, &q, (job){.x = second, .joint = joint, .terms = 1, .keys = keys, .indices = indices}, UNDIVIDED, &to);
    run(&g, &q, (job){.x = u}, 0, &to);
    run(NULL, &q, (job){.x = joint}, 1, &to);
    const result products = {(uint64_t *)to.data, to.part, to.batch, to.limb};
    ckks_tensor(m + special, 1, kept, &u, &v, &products);
    const operand pair = {joint.data, 0, 0, N};
    int32_t integers[N];
    VALGRIND_MAKE_MEM_UNDEFINED(integers, sizeof integers);
    uint64_t *space = malloc(ckks_small_space(N) * sizeof *space);
    ckks_small_products(m, 1, 2, limbs, &pair, integers, 0, 0, 1, &products, space);
    free(space);
    free((void *)u.data), free((void *)v.data), free((void *)joint.data), free((void *)made.data);
    free((void *)to.data), free((void *)pairs.data);
    for (size_t d = 0; d <= digits; d++) {
        ckks_conversion_free(lifts[d]);
    }
}

static void switch_all(int variant, modulus *const *mixed) {
    const size_t single[DIGITS + 1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, wide[3] = {2, 10, 13};
    modulus *m[FAST];
    for (size_t i = 0; i < FAST; i++) {
        m[i] = ckks_modulus_new(variant, N, fast_moduli[i], fast_roots[i]);
    }
    switch_over(variant, m, fast_moduli, FAST, 1, DIGITS, single);
    switch_over(variant, m, fast_moduli, FAST, 2, 2, wide);
    switch_over(variant, mixed, moduli, LIMBS, 1, 2, single);
    for (size_t i = 0; i < FAST; i++) {
        ckks_modulus_free(m[i]);
    }
}

int main(int count, char **arguments) {
    const int variant = count > 1 ? atoi(arguments[1]) : 0;
    modulus *m[LIMBS];
    if (!RUNNING_ON_VALGRIND || !ckks_variant_runnable(variant)) {
        return 2;
    }
    for (size_t i = 0; i < LIMBS; i++) {
        m[i] = ckks_modulus_new(variant, N, moduli[i], roots[i]);
        if (m[i] == NULL) {
            return 3;
        }
    }
    for (size_t j = 0; j < TERMS * LIMBS * N; j++) {
        x[j] = y[j] = j; /* any residues: below every modulus */
    }
    for (size_t j = 0; j < N; j++) {
        places[j] = (int64_t)((j * 7 + 3) % (2 * N));
    }
    /* Constants of a conversion from limb 0 to limb 1 need not be the right ones here. */
    const uint64_t ones[LIMBS] = {1, 1, 1};
    conversion *fast = ckks_conversion_new(variant, 1, 1, moduli, moduli + 1, ones, ones, ones, ones, 1);
    conversion *wide = ckks_conversion_new(variant, 2, 1, moduli, moduli + 2, ones, ones, ones, ones, 1);
    hide();
#define ROWS(a) a, LIMBS * N, N
#define TERM_ROWS(a) a, LIMBS * N, LIMBS * N, N
    ckks_ntt(m, 1, LIMBS, ROWS(x), ROWS(out));
    ckks_intt(m, 1, LIMBS, ROWS(x), ROWS(out));
    ckks_neg(m, 1, LIMBS, ROWS(x), ROWS(out));
    ckks_add(m, 1, LIMBS, ROWS(x), ROWS(y), ROWS(out));
    ckks_sub(m, 1, LIMBS, ROWS(x), ROWS(y), ROWS(out));
    ckks_mul(m, 1, LIMBS, ROWS(x), ROWS(y), ROWS(out));
    ckks_add_scalar(m, 1, LIMBS, ROWS(x), w, ROWS(out));
    ckks_mul_scalar(m, 1, LIMBS, ROWS(x), w, ROWS(out));
    ckks_mul_scalar_add(m, 1, LIMBS, ROWS(x), w, ROWS(y), ROWS(out));
    ckks_sub_mul_scalar(m, 1, LIMBS, ROWS(x), ROWS(y), w, ROWS(out));
    ckks_dot(m, TERMS, 1, LIMBS, TERM_ROWS(x), TERM_ROWS(y), ROWS(out));
    uint64_t *space = aligned_alloc(64, (ckks_combine_space(TERMS) + 7) / 8 * 8 * sizeof *space);
    for (size_t repeat = 1; repeat <= 8; repeat *= 2) {
        ckks_combine(m, 1, TERMS, 1, LIMBS, TERM_ROWS(x), repeat, y, 0, LIMBS * N, N, out, 0, LIMBS * N, N, space);
    }
    ckks_weighted_sum(m, TERMS, 1, LIMBS, TERM_ROWS(x), w, LIMBS, 1, ROWS(out));
    ckks_convert(fast, 1, N, ROWS(x), ROWS(out));
    ckks_convert(wide, 1, N, ROWS(x), ROWS(out));
    ckks_gather(1, LIMBS, N, ROWS(x), places, ROWS(out));
    ckks_gather_signed(m, 1, LIMBS, ROWS(x), places, ROWS(out));
    ckks_signed(m, 1, LIMBS, low, 0, high, 0, ROWS(out));
    ckks_mul_add(m, 1, LIMBS, ROWS(x), ROWS(y), ROWS(x), ROWS(out));
    ckks_neg_mul_add(m, 1, LIMBS, ROWS(x), ROWS(y), ROWS(x), ROWS(out));
    ckks_take_ternary(N, crumbs, N, tiny);
    ckks_binomial(variant, N, x, tiny);
    ckks_small(m, 1, LIMBS, tiny, 0, ROWS(out));
    ckks_rounded(m, 1, LIMBS, reals, 0, 1099511627776.0, ROWS(out));
    ckks_unpack(m, 1, LIMBS, packed, 0, ROWS(out)); /* the verdict is for the caller; nothing here looks at it */
    ckks_pack(m, 1, LIMBS, ROWS(out), packed, 0);
    switch_all(variant, m);
    if (count > 2 && x[0] == 1) {
        puts("this branch depends on a residue");
    }
    for (size_t i = 0; i < LIMBS; i++) {
        ckks_modulus_free(m[i]);
    }
    ckks_conversion_free(fast);
    ckks_conversion_free(wide);
    return 0;
}
