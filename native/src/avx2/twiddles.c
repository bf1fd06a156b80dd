/*
 * Twiddle tables of the AVX2 transforms, and which of their passes reduce.
 */
#include "avx2/avx2.h"
#include "avx2/twiddles.h"
#include "portable/modarith.h"

#if CKKS_X86

/* |a w mod q| for |a| <= bound and |w| <= q/2, with slack for the roundings of this computation itself. */
static double product_bound(const modulus *m, double bound) {
    CHECK(bound <= 0x1p52);
    return (m->fp / 2) * (1 + bound * 0x1p-52) * (1 + 0x1p-40);
}

/*
 * Follow B, the bound of all values, through the passes, and let a pass reduce only if the next could not take what
 * it would leave otherwise. Bit p of the two masks belongs to pass p, in the order of execution.
 *
 * Forward: a pass multiplies values below B and B + r1 (r1 = product_bound(B)), so it takes B with B + r1 <= 2^52; it
 * leaves B0 + r1 + r2 with r2 = product_bound(B + r1), where B0 is B, or q/2 + 1 when reducing. At worst q = 2^50:
 * B = 2.14 q leaves B = .5 q + .77 q + .86 q = 2.13 q when reducing, and 2.14 q + .77 q < 4 q = 2^52.
 *
 * Inverse: with d bounding a_i - a_j and s bounding the sum of all four and (a0 + a1) - (a2 + a3), a pass multiplies
 * values below d, s and 2 product_bound(d); it takes s <= 2^52. The sums it leaves (s and 2 product_bound(d)) are
 * reduced or not, the products are below max(product_bound(s), product_bound(2 product_bound(d))). Usually d = 2B,
 * s = 4B; in the first pass, on words in [0, q), d = q and (a0 + a1) - (a2 + a3) < 2q. At worst q = 2^50, B is 0.75 q
 * after the first pass, then product_bound(4B) = q/2 + B/2, that is (1 - 2^-(p+1)) q after pass p: always 4B < 2^52.
 */
static void plan_reductions(modulus *m) {
    const unsigned single = m->log_n % 2, passes = m->log_n / 2;
    double bound = m->fp;
    if (single) {
        bound += product_bound(m, bound);
    }
    for (unsigned p = 0; p < passes; p++) {
        double r1 = product_bound(m, bound), r2 = product_bound(m, bound + r1);
        double left = bound + r1 + r2, half = m->fp / 2 + 1;
        int last = p == passes - 1; /* what it leaves is stored: reduce() takes 2^53 */
        if (last ? left > 0x1p53 : left > 0x1p51 || left + product_bound(m, left) > 0x1p52) {
            m->reduce_forward |= 1u << p;
            left = half + r1 + r2;
        }
        bound = left;
    }
    m->lazy_sums = m->fp <= 0x1p49 && bound <= 0x1p51; /* transform.h */
    double difference = m->fp, spread = 2 * m->fp, sum = 4 * m->fp;
    for (unsigned p = 0; p + 1 - single < passes; p++) { /* the last pass multiplies everything: nothing is left */
        double r = product_bound(m, difference), s = product_bound(m, spread), t = product_bound(m, 2 * r);
        double sums = sum > 2 * r ? sum : 2 * r, half = m->fp / 2 + 1;
        bound = s > t ? s : t;
        if (sums > 0x1p50) {
            m->reduce_inverse |= 1u << p;
            sums = half;
        }
        bound = bound > sums ? bound : sums;
        CHECK(bound < 0x1p50);
        difference = 2 * bound, spread = sum = 4 * bound;
    }
}

static double *twiddles(const modulus *m, uint64_t psi) {
    const size_t n = m->n, blocks = n / 16;
    uint64_t *powers = aligned_words(n);
    double *made = aligned_words(tail_start(n) + n);
    if (powers == NULL || made == NULL) {
        aligned_free(powers);
        aligned_free(made);
        return NULL;
    }
    bit_reversed_powers(m, psi, powers);
    for (size_t k = 0; k < tail_start(n); k++) {
        made[k] = k < blocks ? centred_double(powers[k], m->q) : 0;
    }
    for (size_t b = 0; b < blocks; b++) {
        double *tail = made + tail_start(n) + 16 * b;
        const size_t k = blocks + b;
        tail[0] = centred_double(powers[k], m->q);
        tail[1] = centred_double(powers[2 * k], m->q);
        tail[2] = centred_double(powers[2 * k + 1], m->q);
        tail[3] = 0;
        for (size_t i = 0; i < 4; i++) {
            tail[4 + i] = centred_double(powers[4 * k + i], m->q);
            tail[8 + i] = centred_double(powers[2 * (4 * k + i)], m->q);
            tail[12 + i] = centred_double(powers[2 * (4 * k + i) + 1], m->q);
        }
    }
    aligned_free(powers);
    return made;
}

int avx2_prepare(modulus *m, uint64_t psi) {
    const uint64_t psi_inverse = inverse_root(m, psi);
    double *inverse = m->inverse = twiddles(m, psi_inverse);
    m->forward = twiddles(m, psi);
    if (m->forward == NULL || inverse == NULL) {
        return 0;
    }
    /* Slot 0 is free: W[0] = 1 is no node's twiddle. W[1] = psi^(-n/2) is used in the last pass only. */
    uint64_t power = psi_inverse;
    for (unsigned i = 1; i < m->log_n; i++) {
        power = mul_mod(m, power, power);
    }
    inverse[0] = centred_double(m->n_inverse, m->q);
    inverse[1] = centred_double(mul_mod(m, power, m->n_inverse), m->q);
    plan_reductions(m);
    return 1;
}
#endif
