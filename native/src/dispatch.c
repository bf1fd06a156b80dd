/*
 * What this CPU can run, and which row kernels serve a modulus: decided when a table is built, never per call.
 *
 *             q < 2^50, n >= 64          q < 2^50, n = 32    2^50 <= q < 2^61     n < 32
 *   portable  portable                   portable            portable             portable
 *   avx2      avx2                       avx2                avx2 sums and small, portable
 *   ifma      ifma ntt, avx2 the rest    avx2                portable the rest    portable
 */
#include "avx2/avx2.h"
#include "avx512/avx512.h"

enum { PORTABLE, AVX2, IFMA, VARIANTS };
static const char *const variant_names[VARIANTS] = {"portable", "avx2", "ifma"};

enum { HAS_AVX2, HAS_FMA, HAS_AVX512F, HAS_AVX512DQ, HAS_AVX512VL, HAS_IFMA, FEATURES };
static const char *const feature_names[FEATURES] = {"avx2",     "fma",      "avx512f",
                                                    "avx512dq", "avx512vl", "avx512ifma"};

#if CKKS_X86
#include <cpuid.h>

__attribute__((target("xsave"))) static uint64_t saved_registers(void) {
    return __builtin_ia32_xgetbv(0);
}

/* One bit per feature. A vector register counts only when the operating system saves it (XCR0). */
static unsigned detect(void) {
    unsigned eax, ebx, ecx, edx, found = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE)) {
        return 0;
    }
    const uint64_t saved = saved_registers();
    const int ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
    found |= (unsigned)(ymm && (ecx & bit_FMA)) << HAS_FMA;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        return found;
    }
    found |= (unsigned)(ymm && (ebx & bit_AVX2)) << HAS_AVX2;
    found |= (unsigned)(zmm && (ebx & bit_AVX512F)) << HAS_AVX512F;
    found |= (unsigned)(zmm && (ebx & bit_AVX512DQ)) << HAS_AVX512DQ;
    found |= (unsigned)(zmm && (ebx & bit_AVX512VL)) << HAS_AVX512VL;
    found |= (unsigned)(zmm && (ebx & bit_AVX512IFMA)) << HAS_IFMA;
    return found;
}
#else
static unsigned detect(void) {
    return 0;
}
#endif

const char *ckks_variant_name(int variant) {
    return variant >= 0 && variant < VARIANTS ? variant_names[variant] : NULL;
}

int ckks_variant_compiled(int variant) {
    return variant == PORTABLE || (variant == AVX2 && CKKS_X86) || (variant == IFMA && CKKS_IFMA);
}

int ckks_variant_runnable(int variant) {
    const unsigned avx2 = 1u << HAS_AVX2 | 1u << HAS_FMA;
    const unsigned ifma = avx2 | 1u << HAS_AVX512F | 1u << HAS_AVX512DQ | 1u << HAS_AVX512VL | 1u << HAS_IFMA;
    if (!ckks_variant_compiled(variant)) {
        return 0;
    }
    const unsigned beside = CKKS_AVX2 ? avx2 : 0; /* what runs beside emulated transforms */
    const unsigned needed[VARIANTS] = {0, avx2, CKKS_EMULATED ? beside : ifma};
    return (detect() & needed[variant]) == needed[variant];
}

const char *ckks_feature_name(int feature) {
    return feature >= 0 && feature < FEATURES ? feature_names[feature] : NULL;
}

int ckks_feature_present(int feature) {
    return feature >= 0 && feature < FEATURES && (detect() >> feature & 1);
}

const char *ckks_compiler(void) {
#if defined(__clang__)
    return __VERSION__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

int ckks_checking(void) {
#ifdef CKKS_CHECK
    return 1;
#else
    return 0;
#endif
}

#if CKKS_X86
static const row_kernels avx2_rows = {
    .name = "avx2",
    .ntt = avx2_ntt,
    .intt = avx2_intt,
    .add = avx2_add,
    .sub = avx2_sub,
    .mul = avx2_mul,
    .add_scalar = avx2_add_scalar,
    .mul_scalar = avx2_mul_scalar,
    .mul_scalar_add = avx2_mul_scalar_add,
    .sub_mul_scalar = avx2_sub_mul_scalar,
    .tensor = avx2_tensor,
    .gather = portable_gather,
    .dot = avx2_dot,
    .weighted_sum = avx2_weighted_sum,
    .signed_words = avx2_signed_words,
    .mul_add = avx2_mul_add,
    .neg_mul_add = avx2_neg_mul_add,
    .small_words = avx2_small_words,
    .rounded_words = avx2_rounded_words,
    .prepare = avx2_prepare,
};

static const row_kernels avx2_wide_rows = {
    .name = "avx2-wide",
    .ntt = portable_ntt,
    .intt = portable_intt,
    .add = avx2_add,
    .sub = avx2_sub,
    .mul = portable_mul,
    .add_scalar = avx2_add_scalar,
    .mul_scalar = portable_mul_scalar,
    .mul_scalar_add = portable_mul_scalar_add,
    .sub_mul_scalar = portable_sub_mul_scalar,
    .tensor = portable_tensor,
    .gather = portable_gather,
    .dot = portable_dot,
    .weighted_sum = portable_weighted_sum,
    .signed_words = portable_signed_words,
    .mul_add = portable_mul_add,
    .neg_mul_add = portable_neg_mul_add,
    .small_words = avx2_small_words,
    .rounded_words = portable_rounded_words,
    .prepare = portable_prepare,
};
#endif

#if CKKS_IFMA
/* An emulated build (tests) may have no vector unit to rely on: what is not of its own is portable there. */
#define BESIDE_IFMA(function) IFMA_CHOICE(portable_##function, avx2_##function)
#if !CKKS_AVX2
#define IFMA_CHOICE(emulated, real) emulated
#else
#define IFMA_CHOICE(emulated, real) real
#endif
static const row_kernels ifma_rows = {
    .name = "ifma",
    .ntt = ifma_ntt,
    .intt = ifma_intt,
    .add = BESIDE_IFMA(add),
    .sub = BESIDE_IFMA(sub),
    .mul = BESIDE_IFMA(mul),
    .add_scalar = BESIDE_IFMA(add_scalar),
    .mul_scalar = BESIDE_IFMA(mul_scalar),
    .mul_scalar_add = BESIDE_IFMA(mul_scalar_add),
    .sub_mul_scalar = BESIDE_IFMA(sub_mul_scalar),
    .tensor = BESIDE_IFMA(tensor),
    .gather = ifma_gather,
    .dot = BESIDE_IFMA(dot),
    .combine = ifma_combine,
    .weighted_sum = BESIDE_IFMA(weighted_sum),
    .signed_words = BESIDE_IFMA(signed_words),
    .mul_add = BESIDE_IFMA(mul_add),
    .neg_mul_add = BESIDE_IFMA(neg_mul_add),
    .small_words = BESIDE_IFMA(small_words),
    .rounded_words = BESIDE_IFMA(rounded_words),
    .prepare = ifma_prepare,
};
#endif

const row_kernels *choose_rows(int variant, size_t n, uint64_t q) {
#if CKKS_IFMA
    if (variant == IFMA && q < FAST_LIMIT && n >= IFMA_SMALLEST_N) {
        return &ifma_rows;
    }
#endif
#if CKKS_X86
    if (variant != PORTABLE && CKKS_AVX2 && n >= AVX2_SMALLEST_N) {
        return q < FAST_LIMIT ? &avx2_rows : &avx2_wide_rows;
    }
#endif
    (void)variant, (void)n, (void)q;
    return &portable_rows;
}

void choose_convert(int variant, conversion *c) {
    c->rows = portable_convert;
#if CKKS_X86
    if (variant != PORTABLE && CKKS_AVX2 && avx2_converts(c)) {
        c->rows = avx2_convert;
    }
#endif
    (void)variant;
}

/* On streams, which belong to no modulus table: the variant comes with the call. */
size_t ckks_take_below(int variant, uint64_t q, size_t count, const uint64_t *x, size_t room, uint64_t *out) {
#if CKKS_X86
    if (variant != PORTABLE && CKKS_AVX2) {
        return avx2_take_below(q, count, x, room, out);
    }
#endif
    (void)variant;
    return portable_take_below(q, count, x, room, out);
}

void ckks_binomial(int variant, size_t count, const uint64_t *x, int8_t *out) {
#if CKKS_X86
    if (variant != PORTABLE && CKKS_AVX2) {
        avx2_binomial(count, x, out);
        return;
    }
#endif
    (void)variant;
    portable_binomial(count, x, out);
}
