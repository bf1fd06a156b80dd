/*
 * Key switching and division by primes, one target modulus at a time: what a modulus needs is lifted to it, transformed,
 * multiplied, divided and stored before the next one is begun, so that its tables and rows stay in the cache, and
 * nothing in between is written to memory for all moduli.
 *
 * Both are compositions: ckks/kernels/composed.py says of what.
 */
#ifndef _WIN32
#include <sched.h>
#endif
#include <string.h>

#include "avx2/avx2.h"
#include "avx512/avx512.h"
#include "lift.h"

/* Row of part p, entry b of the batch, limb i. */
#define ROW(a, p, b, i) ((a)->data + (ptrdiff_t)(p) * (a)->part + (ptrdiff_t)(b) * (a)->batch + (ptrdiff_t)(i) * (a)->limb)

void ckks_tensor(modulus *const *m, size_t batch, size_t limbs, const operand *x, const operand *y, const result *out) {
    for (size_t i = 0; i < limbs; i++) {
        for (size_t b = 0; b < batch; b++) {
            const uint64_t *const u[2] = {ROW(x, 0, b, i), ROW(x, 1, b, i)};
            const uint64_t *const v[2] = {ROW(y, 0, b, i), ROW(y, 1, b, i)};
            uint64_t *const o[3] = {ROW(out, 0, b, i), ROW(out, 1, b, i), ROW(out, 2, b, i)};
            m[i]->rows->tensor(m[i], u, v, o);
        }
    }
}

enum { WORDS, DOUBLES, SUMS52 };

/* Do all limbs transform by `ntt`? */
static int all_by(void (*ntt)(const modulus *, const uint64_t *, uint64_t *), size_t limbs, modulus *const *m) {
    for (size_t i = 0; i < limbs; i++) {
        if (m[i]->rows->ntt != ntt) {
            return 0;
        }
    }
    return 1;
}

int ckks_lift_form(size_t limbs, modulus *const *m, size_t count, conversion *const *c) {
#if CKKS_IFMA
    if (all_by(ifma_ntt, limbs, m)) {
        return SUMS52;
    }
#endif
#if CKKS_AVX2
    if (all_by(avx2_ntt, limbs, m)) {
        for (size_t d = 0; d < count; d++) {
            if (c[d]->rows != avx2_convert) {
                return WORDS;
            }
        }
        return DOUBLES;
    }
#endif
    (void)limbs, (void)m, (void)count, (void)c;
    return WORDS;
}

static const lift_kernels *kernels_of(int form) {
#if CKKS_IFMA
    if (form == SUMS52) {
        return &ifma_lift;
    }
#endif
#if CKKS_AVX2
    if (form == DOUBLES) {
        return &avx2_lift;
    }
#endif
    (void)form;
    return &portable_lift;
}

/* Rows of n words, row_words(n) apart, that lie in job->space one area after the other. */
typedef struct {
    uint64_t *digits;     /* batch x (l + digits): for each digit v and y of its primes */
    uint64_t *dropped;    /* parts x batch x dropped limbs: the sums there, as words */
    uint64_t *remainders; /* parts x batch x (dropped limbs + 1): v and y of those */
    uint64_t *scratch;    /* threads x SCRATCH */
} areas;

#define SCRATCH 6

/* How many rows of each there are, in this order. */
enum { AREAS = 4 };

static void count_rows(const gadget *g, const quotient *q, const job *j, size_t rows[AREAS]) {
    const size_t entries = j->parts * j->batch, dropped = q->first + q->last;
    rows[0] = g == NULL || j->digits.data != NULL ? 0 : j->batch * (g->limbs - g->special + g->digits);
    rows[1] = g == NULL ? 0 : entries * dropped;
    rows[2] = entries * (dropped + 1);
    rows[3] = j->threads * SCRATCH;
}

static areas areas_of(const gadget *g, const quotient *q, const job *j) {
    const size_t apart = row_words(q->m[0]->n);
    size_t rows[AREAS];
    count_rows(g, q, j, rows);
    areas a;
    a.digits = j->space;
    a.dropped = a.digits + rows[0] * apart;
    a.remainders = a.dropped + rows[1] * apart;
    a.scratch = a.remainders + rows[2] * apart;
    return a;
}

size_t ckks_switch_space(const gadget *g, const quotient *q, const job *j) {
    size_t rows[AREAS];
    count_rows(g, q, j, rows);
    return (rows[0] + rows[1] + rows[2] + rows[3]) * row_words(q->m[0]->n);
}

static size_t kept_limbs(const quotient *q) {
    return q->limbs - q->first - q->last;
}

static size_t tasks_of(const gadget *g, const quotient *q, const job *j, int step) {
    switch (step) {
    case 0: return g == NULL || j->digits.data != NULL ? 0 : g->digits;
    case 1: return g == NULL ? 0 : q->first + q->last;
    case 2: return j->parts * j->batch;
    case 3: return kept_limbs(q);
    default: return g->limbs;
    }
}

/* Step 0, digit d: v and y of its primes. */
static void split_digit(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, size_t d) {
    const size_t k = g->special, first = g->bounds[d] - k, apart = row_words(g->m[0]->n);
    for (size_t b = 0; b < j->batch; b++) {
        uint64_t *work = a->digits + (b * (g->limbs - k + g->digits) + first + d) * apart;
        kernels->split(g->c[d], g->m + k + first, ROW(&j->x, 0, b, first), g->c[d]->a, NULL, j->x.limb,
                       j->factor.data == NULL ? NULL : ROW(&j->factor, 0, b, first), j->factor.limb, work);
    }
}

/* The sums over the digits for limb i of the joint basis and entry b: the inner product with the key, and what is added
 * to it. */
static void sum_digits(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, const operand *keys,
                       size_t i, size_t b, uint64_t *row, uint64_t *const sums[2]) {
    const size_t k = g->special, apart = row_words(g->m[0]->n);
    const modulus *m = g->m[i];
    if (i >= k && j->left.data != NULL) {
        const uint64_t *const x[2] = {ROW(&j->left, 0, b, i - k), ROW(&j->left, 1, b, i - k)};
        const uint64_t *const y[2] = {ROW(&j->right, 0, b, i - k), ROW(&j->right, 1, b, i - k)};
        kernels->begin_product(m, x, y, g->weights[i - k], sums);
    } else {
        const uint64_t *addend[2] = {NULL, NULL};
        for (size_t p = 0; i >= k && p < j->addend_parts; p++) {
            addend[p] = ROW(&j->addend, p, b, i - k);
        }
        kernels->begin(m, addend, i >= k ? g->weights[i - k] : 0, sums);
    }
    for (size_t d = 0; keys->data != NULL && d < g->digits; d++) {
        const size_t first = g->bounds[d], last = g->bounds[d + 1];
        const uint64_t *const key[2] = {ROW(keys, 0, d, i), ROW(keys, 1, d, i)};
        if (j->digits.data != NULL) {
            kernels->add_words(m, ROW(&j->digits, d, b, i), NULL, key, d, sums);
        } else if (i >= first && i < last) {
            const uint64_t *factor = j->factor.data == NULL ? NULL : ROW(&j->factor, 0, b, i - k);
            kernels->add_words(m, ROW(&j->x, 0, b, i - k), factor, key, d, sums);
        } else {
            const uint64_t *work = a->digits + (b * (g->limbs - k + g->digits) + first - k + d) * apart;
            kernels->add_lifted(g->c[d], i < first ? i : i - (last - first), m, work, key, d, row, sums);
        }
    }
}

/* The sums of term t alone, at sums; row: scratch. */
static void sum_term(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, size_t t, size_t i,
                     size_t b, uint64_t *row, uint64_t *const sums[2]) {
    const size_t k = g->special;
    if (j->keys[t].data == NULL) {
        const uint64_t *const itself[2] = {i < k ? NULL : ROW(&j->addend, 0, b, i - k),
                                           i < k ? NULL : ROW(&j->x, 0, b, i - k)};
        kernels->begin(g->m[i], itself, i < k ? 0 : g->weights[i - k], sums);
    } else {
        sum_digits(kernels, g, j, a, &j->keys[t], i, b, row, sums);
    }
}

/* These sums, or all terms of them added up, at scratch. */
static void sum_terms(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, size_t i, size_t b,
                      uint64_t *scratch) {
    const size_t apart = row_words(g->m[0]->n);
    const modulus *m = g->m[i];
    uint64_t *const total[2] = {scratch, scratch + apart}, *const sums[2] = {scratch + 4 * apart, scratch + 5 * apart};
    uint64_t *const permuted[2] = {scratch + 2 * apart, scratch + 3 * apart};
    if (j->terms == 0) {
        sum_digits(kernels, g, j, a, j->keys, i, b, scratch + 2 * apart, total);
        return;
    }
    for (size_t t = 0; t < j->terms; t++) {
        sum_term(kernels, g, j, a, t, i, b, scratch + 2 * apart, sums);
        for (size_t p = 0; p < 2 && j->indices[t] != NULL; p++) {
            m->rows->gather(m->n, sums[p], j->indices[t], permuted[p]);
        }
        kernels->add_sums(m, j->indices[t] == NULL ? sums : permuted,
                          j->factors[t].data == NULL ? NULL : ROW(&j->factors[t], 0, b, i), t, total);
    }
}

/* Step 1, dropped limb t: its sums, as words. */
static void sum_dropped(const lift_kernels *kernels, const gadget *g, const quotient *q, const job *j, const areas *a,
                        size_t t, uint64_t *scratch) {
    const size_t apart = row_words(g->m[0]->n), dropped = q->first + q->last;
    const size_t i = t < q->first ? t : t + kept_limbs(q);
    uint64_t *const sums[2] = {scratch, scratch + apart};
    for (size_t b = 0; b < j->batch; b++) {
        sum_terms(kernels, g, j, a, i, b, scratch);
        for (size_t p = 0; p < 2; p++) {
            kernels->store(g->m[i], sums[p], a->dropped + ((p * j->batch + b) * dropped + t) * apart);
        }
    }
}

/* Step 2, entry e = part x batch + b: v and y of the dropped limbs. */
static void split_remainder(const lift_kernels *kernels, const gadget *g, const quotient *q, const job *j,
                            const areas *a, size_t e) {
    const size_t apart = row_words(q->m[0]->n), dropped = q->first + q->last;
    uint64_t *work = a->remainders + e * (dropped + 1) * apart;
    if (g != NULL) {
        kernels->split(q->c, q->dropped, a->dropped + e * dropped * apart, dropped, NULL, (ptrdiff_t)apart, NULL, 0, work);
        return;
    }
    const size_t p = e / j->batch, b = e % j->batch;
    kernels->split(q->c, q->dropped, ROW(&j->x, p, b, 0), q->first, ROW(&j->x, p, b, q->limbs - q->last), j->x.limb, NULL,
                   0, work);
}

/* Step 3, kept limb t: out = weight (sum, or x, - the lifted remainder), permuted. */
static void divide_kept(const lift_kernels *kernels, const gadget *g, const quotient *q, const job *j, const areas *a,
                        size_t t, uint64_t *scratch) {
    const size_t apart = row_words(q->m[0]->n), dropped = q->first + q->last, i = q->first + t;
    const modulus *m = q->m[i];
    uint64_t *const sums[2] = {scratch, scratch + apart}, *row = scratch + 2 * apart, *spare = scratch + 3 * apart;
    for (size_t b = 0; b < j->batch; b++) {
        if (g != NULL) {
            sum_terms(kernels, g, j, a, i, b, scratch);
        }
        for (size_t p = 0; p < j->parts; p++) {
            const uint64_t *work = a->remainders + (p * j->batch + b) * (dropped + 1) * apart;
            uint64_t *out = ROW(&j->out, p, b, t);
            if (g == NULL) {
                const uint64_t *const x[2] = {ROW(&j->x, p, b, i), NULL};
                kernels->begin(m, x, 1, sums);
            }
            kernels->divide(q->c, t, m, work, sums[g == NULL ? 0 : p], q->weights[t], row,
                            j->index == NULL ? out : spare);
            if (j->index != NULL) {
                m->rows->gather(m->n, spare, j->index, out);
            }
        }
    }
}

/* Step 4, joint limb i: its row of each digit. */
static void digit_rows(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, size_t i) {
    const size_t k = g->special, apart = row_words(g->m[0]->n);
    for (size_t b = 0; b < j->batch; b++) {
        for (size_t d = 0; d < g->digits; d++) {
            const size_t first = g->bounds[d], last = g->bounds[d + 1];
            uint64_t *out = ROW(&j->out, d, b, i);
            if (i >= first && i < last) {
                memcpy(out, ROW(&j->x, 0, b, i - k), g->m[i]->n * sizeof *out);
            } else {
                const uint64_t *work = a->digits + (b * (g->limbs - k + g->digits) + first - k + d) * apart;
                kernels->lifted(g->c[d], i < first ? i : i - (last - first), g->m[i], work, out);
            }
        }
    }
}

/* Step 5, joint limb i: the sums of each term, undivided. */
static void lift_terms(const lift_kernels *kernels, const gadget *g, const job *j, const areas *a, size_t i,
                       uint64_t *scratch) {
    const modulus *m = g->m[i];
    const size_t apart = row_words(m->n);
    uint64_t *const sums[2] = {scratch, scratch + apart}, *spare = scratch + 3 * apart;
    for (size_t t = 0; t < j->terms; t++) {
        for (size_t b = 0; b < j->batch; b++) {
            sum_term(kernels, g, j, a, t, i, b, scratch + 2 * apart, sums);
            for (size_t p = 0; p < 2; p++) {
                const int permuted = j->indices[t] != NULL, joined = p == 0 && j->joint.data != NULL;
                uint64_t *out = ROW(&j->out, 2 * t + p, b, i), *words = permuted ? spare : out;
                kernels->store(m, sums[p], words);
                if (joined) {
                    m->rows->add(m, m->n, words, ROW(&j->joint, 0, b, i), words);
                }
                if (permuted) {
                    m->rows->gather(m->n, words, j->indices[t], out);
                }
            }
        }
    }
}

/* Task t of a step. */
static void run_task(const gadget *g, const quotient *q, const job *j, int step, size_t t, size_t thread) {
    const lift_kernels *kernels = kernels_of(g == NULL ? q->form : g->form);
    const areas a = areas_of(g, q, j);
    uint64_t *scratch = a.scratch + thread * SCRATCH * row_words(q->m[0]->n);
    switch (step) {
    case 0: split_digit(kernels, g, j, &a, t); break;
    case 1: sum_dropped(kernels, g, q, j, &a, t, scratch); break;
    case 2: split_remainder(kernels, g, q, j, &a, t); break;
    case 3: divide_kept(kernels, g, q, j, &a, t, scratch); break;
    case 4: digit_rows(kernels, g, j, &a, t); break;
    default: lift_terms(kernels, g, j, &a, t, scratch);
    }
}

size_t ckks_small_space(size_t n) {
    return 3 * row_words(n);
}

/* Output by output: its sums and the row that is transformed stay in the cache, the terms go through it once for each. */
void ckks_small_products(modulus *const *m, size_t outputs, size_t terms, size_t limbs, const operand *x, const int32_t *y,
                         ptrdiff_t y_output, ptrdiff_t y_term, int added, const result *out, uint64_t *space) {
    const lift_kernels *kernels = kernels_of(ckks_lift_form(limbs, m, 0, NULL));
    for (size_t i = 0; i < limbs; i++) {
        const size_t apart = row_words(m[i]->n);
        uint64_t *const sums[2] = {space, space + apart}, *const row = space + 2 * apart;
        for (size_t o = 0; o < outputs; o++) {
            uint64_t *const to[2] = {ROW(out, 0, o, i), ROW(out, 1, o, i)};
            const uint64_t *const before[2] = {added ? to[0] : NULL, added ? to[1] : NULL};
            kernels->begin(m[i], before, 1, sums);
            for (size_t t = 0; t < terms; t++) {
                const uint64_t *const factor[2] = {ROW(x, 0, t, i), ROW(x, 1, t, i)};
                kernels->add_small(m[i], y + (ptrdiff_t)o * y_output + (ptrdiff_t)t * y_term, factor, t, row, sums);
            }
            for (size_t p = 0; p < 2; p++) {
                kernels->store(m[i], sums[p], to[p]);
            }
        }
    }
}

/* A moment's wait for another thread; after many, the processor is left to whoever wants it. */
CKKS_INLINE void wait_a_moment(size_t waited) {
    if (waited >= 4096) {
#ifndef _WIN32
        sched_yield();
#endif
        return;
    }
#if CKKS_X86
    __builtin_ia32_pause();
#endif
}

/* Threads take the tasks of a step one by one, and go on to the next when all of them are done: two words of progress count
 * what was taken and what was done. Nobody sleeps in between, since steps are shorter than waking takes. */
void ckks_share(const gadget *g, const quotient *q, const job *j, int what, uint64_t *progress, size_t thread) {
    static const int steps[3][5] = {{0, 1, 2, 3, -1}, {0, 4, -1}, {0, 5, -1}};
    for (const int *step = steps[what]; *step >= 0; step++, progress += 2) {
        const uint64_t tasks = tasks_of(g, q, j, *step);
        uint64_t t;
        while ((t = __atomic_fetch_add(&progress[0], 1, __ATOMIC_RELAXED)) < tasks) {
            run_task(g, q, j, *step, t, thread);
            __atomic_fetch_add(&progress[1], 1, __ATOMIC_RELEASE);
        }
        for (size_t waited = 0; __atomic_load_n(&progress[1], __ATOMIC_ACQUIRE) < tasks; waited++) {
            wait_a_moment(waited);
        }
    }
}

static void alone(const gadget *g, const quotient *q, const job *j, int what) {
    uint64_t progress[CKKS_PROGRESS] = {0};
    ckks_share(g, q, j, what, progress, 0);
}

void ckks_switch(const gadget *g, const quotient *q, const job *j) {
    alone(g, q, j, CKKS_SWITCH);
}

void ckks_decompose(const gadget *g, const quotient *q, const job *j) {
    alone(g, q, j, CKKS_DECOMPOSE);
}

void ckks_lift(const gadget *g, const quotient *q, const job *j) {
    alone(g, q, j, CKKS_LIFT);
}
