/*
 * Tables when memory runs out: each allocation fails once in turn, and the answer is NULL with everything given back;
 * and when nothing fails, freeing a table gives back all of it. Run by tests/kernels/test_allocation.py, which has the
 * sources compiled with malloc, calloc and free as the functions below:
 *
 *     cc -Dmalloc=counted_malloc -Dcalloc=counted_calloc -Dfree=counted_free -I include -I src tests/allocation.c src/...c
 *
 * Prints a line for each table and variant: its name, and how many allocations it made.
 */
#undef malloc
#undef calloc
#undef free
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"

static long held;  /* blocks that were not given back */
static long until; /* allocations that succeed before one fails */

void *counted_malloc(size_t bytes);
void *counted_calloc(size_t count, size_t bytes);
void counted_free(void *block);

void *counted_malloc(size_t bytes) {
    if (until-- == 0) {
        return NULL;
    }
    void *block = malloc(bytes);
    held += block != NULL;
    return block;
}

void *counted_calloc(size_t count, size_t bytes) {
    if (until-- == 0) {
        return NULL;
    }
    void *block = calloc(count, bytes);
    held += block != NULL;
    return block;
}

void counted_free(void *block) {
    held -= block != NULL;
    free(block);
}

enum { N = 64 };

static const uint64_t moduli[3] = {MODULI}, roots[3] = {ROOTS};

/* The words of a conversion are copied, never read: any will do. */
static void *conversion_table(int variant) {
    static const uint64_t words[6];
    return ckks_conversion_new(variant, 2, 1, moduli, moduli + 2, words, words, words, words, 0);
}

static void *modulus_table(int variant) {
    return ckks_modulus_new(variant, N, moduli[0], roots[0]);
}

static void *wide_table(int variant) {
    return ckks_modulus_new(variant, N, moduli[1], roots[1]);
}

static void free_conversion(void *table) {
    ckks_conversion_free(table);
}

static void free_modulus(void *table) {
    ckks_modulus_free(table);
}

/* Return 0, or 1 where something was kept or made of too little. */
static int exhaust(const char *name, int variant, void *(*make)(int), void (*release)(void *)) {
    for (long allowed = 0; allowed < 1000; allowed++) {
        until = allowed;
        void *table = make(variant);
        const long asked = allowed - until;
        if (table == NULL && held == 0 && asked > allowed) {
            continue; /* one failed, and that was noticed */
        }
        if (table == NULL || asked > allowed) {
            printf("%s of %s: %ld blocks held after failure %ld\n", name, ckks_variant_name(variant), held, allowed);
            return 1;
        }
        release(table);
        if (held != 0) {
            printf("%s of %s: %ld blocks held once it was freed\n", name, ckks_variant_name(variant), held);
            return 1;
        }
        printf("%s of %s: %ld allocations\n", name, ckks_variant_name(variant), asked);
        return 0;
    }
    return 1;
}

int main(void) {
    int wrong = 0;
    for (int variant = 0; ckks_variant_name(variant) != NULL; variant++) {
        if (ckks_variant_runnable(variant)) {
            wrong |= exhaust("modulus", variant, modulus_table, free_modulus);
            wrong |= exhaust("wide modulus", variant, wide_table, free_modulus);
            wrong |= exhaust("conversion", variant, conversion_table, free_conversion);
        }
    }
    return wrong;
}
