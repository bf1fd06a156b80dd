/*
 * Key switching and division by primes, one target modulus at a time: what a modulus needs is lifted to it, transformed,
 * multiplied, divided and stored before the next one is begun, so that its tables and rows stay in the cache, and
 * nothing in between is written to memory for all moduli.
 *
 * Both are compositions: ckks/kernels/composed.py says of what.
 */
#include "avx2/avx2.h"
#include "avx512/avx512.h"
#include "lift.h"

#define ROW(a, p, b, i) ((a)->data + (ptrdiff_t)(p) * (a)->part + (ptrdiff_t)(b) * (a)->batch + (ptrdiff_t)(i) * (a)->limb)

int ckks_lift_form(size_t limbs, modulus *const *m, size_t count, conversion *const *c) {
#if CKKS_X86 && !CKKS_EMULATED
    for (size_t i = 0; i < limbs; i++) {
        if (m[i]->rows->mul != avx2_mul) {
            return 0;
        }
    }
    for (size_t d = 0; d < count; d++) {
        if (c[d]->rows != avx2_convert) {
            return 0;
        }
    }
    return 1;
#else
    (void)limbs, (void)m, (void)count, (void)c;
    return 0;
#endif
}

static const lift_kernels *kernels_of(int form) {
#if CKKS_X86 && !CKKS_EMULATED
    return form ? &avx2_lift : &portable_lift;
#else
    (void)form;
    return &portable_lift;
#endif
}

void ckks_split(int form, const conversion *c, modulus *const *m, size_t parts, size_t batch, const operand *x,
                const operand *factor, uint64_t *work, ptrdiff_t work_part, ptrdiff_t work_batch) {
    const lift_kernels *kernels = kernels_of(form);
    for (size_t p = 0; p < parts; p++) {
        for (size_t b = 0; b < batch; b++) {
            kernels->split(c, m, ROW(x, p, b, 0), x->limb, factor->data == NULL ? NULL : ROW(factor, p, b, 0),
                           factor->limb, work + (ptrdiff_t)p * work_part + (ptrdiff_t)b * work_batch);
        }
    }
}

size_t ckks_row_words(size_t n) {
    return row_words(n);
}

/* out = weight (sum - what `d` lifts to limb i), permuted. rows: 2 of scratch. */
static void divide_row(const lift_kernels *kernels, const division *d, const modulus *m, size_t i, size_t part,
                       size_t batch, const uint64_t *sum, uint64_t *const rows[2], uint64_t *out) {
    const size_t j = i - d->first;
    const uint64_t *work = d->work + (ptrdiff_t)part * d->part + (ptrdiff_t)batch * d->batch;
    if (d->index == NULL) {
        kernels->divide(d->c, j, m, work, sum, d->weights[j], rows[0], out);
        return;
    }
    kernels->divide(d->c, j, m, work, sum, d->weights[j], rows[0], rows[1]);
    for (size_t k = 0; k < m->n; k++) {
        out[k] = rows[1][(size_t)d->index[k] & (m->n - 1)];
    }
}

void ckks_divide(int form, modulus *const *m, const division *d, size_t start, size_t stop, size_t parts, size_t batch,
                 const operand *x, uint64_t *scratch, const result *out) {
    const lift_kernels *kernels = kernels_of(form);
    const size_t apart = row_words(m[0]->n);
    uint64_t *const sums[2] = {scratch, scratch + apart};
    uint64_t *const rows[2] = {scratch + apart, scratch + 2 * apart};
    for (size_t i = start; i < stop; i++) {
        for (size_t p = 0; p < parts; p++) {
            for (size_t b = 0; b < batch; b++) {
                const uint64_t *const addend[2] = {ROW(x, p, b, i), NULL};
                kernels->begin(m[i], addend, 1, sums);
                divide_row(kernels, d, m[i], i, p, b, sums[0], rows, ROW(out, p, b, i - d->first));
            }
        }
    }
}

void ckks_switch(const gadget *g, const switching *s, size_t start, size_t stop, size_t batch, uint64_t *scratch,
                 const division *d, const result *out) {
    const lift_kernels *kernels = kernels_of(g->form);
    const size_t apart = row_words(g->m[0]->n), k = g->special;
    uint64_t *const sums[2] = {scratch, scratch + apart};
    uint64_t *const rows[2] = {scratch + 2 * apart, scratch + 3 * apart};
    for (size_t i = start; i < stop; i++) {
        const modulus *m = g->m[i];
        for (size_t b = 0; b < batch; b++) {
            if (i >= k && s->left.data != NULL) {
                const uint64_t *const x[2] = {ROW(&s->left, 0, b, i - k), ROW(&s->left, 1, b, i - k)};
                const uint64_t *const y[2] = {ROW(&s->right, 0, b, i - k), ROW(&s->right, 1, b, i - k)};
                kernels->begin_product(m, x, y, s->weights[i - k], sums);
            } else {
                const uint64_t *addend[2] = {NULL, NULL};
                for (size_t p = 0; i >= k && p < s->addend_parts; p++) {
                    addend[p] = ROW(&s->addend, p, b, i - k);
                }
                kernels->begin(m, addend, i >= k ? s->weights[i - k] : 0, sums);
            }
            for (size_t digit = 0; digit < g->digits; digit++) {
                const size_t first = g->bounds[digit], last = g->bounds[digit + 1];
                const uint64_t *const key[2] = {ROW(&s->key, 0, digit, i), ROW(&s->key, 1, digit, i)};
                if (s->digits.data != NULL) {
                    kernels->add_words(m, ROW(&s->digits, digit, b, i), NULL, key, digit, sums);
                } else if (i >= first && i < last) {
                    const uint64_t *factor = s->factor.data == NULL ? NULL : ROW(&s->factor, 0, b, i - k);
                    kernels->add_words(m, ROW(&s->x, 0, b, i - k), factor, key, digit, sums);
                } else {
                    /* The digits' work follows each other: v and the y of as many primes as each owns. */
                    const uint64_t *work = s->work + (ptrdiff_t)b * s->work_batch + (first - k + digit) * apart;
                    kernels->add_lifted(g->c[digit], i < first ? i : i - (last - first), m, work, key, digit, rows[0],
                                        sums);
                }
            }
            for (size_t p = 0; p < 2; p++) {
                if (d != NULL) {
                    divide_row(kernels, d, m, i, p, b, sums[p], rows, ROW(out, p, b, i - d->first));
                } else {
                    kernels->store(m, sums[p], ROW(out, p, b, i - start));
                }
            }
        }
    }
}
