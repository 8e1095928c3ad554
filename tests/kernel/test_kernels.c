/* SPDX-License-Identifier: Apache-2.0 */
/* test_kernels [--seed=N] [--cpu=LEVEL] [--mutants | --bench]: every kernel that this machine can run, against its
 * specification. Exit status 0: all passed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/check.h"
#include "kernels/kernel_decls.h"

static bool check_all(uint64_t seed, clvi_cpu level)
{
    bool good = true;
    size_t count = 0;
#define K_GEMM_F32(needs, rows, columns, function)                           \
    if (needs <= level) {                                                    \
        good = check_gemm(#function, seed, function, rows, columns) && good; \
        count++;                                                             \
    }
#define K_DWCONV_F32(needs, function)                           \
    if (needs <= level) {                                       \
        good = check_dwconv(#function, seed, function) && good; \
        count++;                                                \
    }
#define K_IM2COL_F32(needs, function)                           \
    if (needs <= level) {                                       \
        good = check_im2col(#function, seed, function) && good; \
        count++;                                                \
    }
#define K_PIXEL_GEMM_F32(needs, rows, columns, function)                           \
    if (needs <= level) {                                                          \
        good = check_pixel_gemm(#function, seed, function, rows, columns) && good; \
        count++;                                                                   \
    }
#define K_DWROW_F32(needs, function)                           \
    if (needs <= level) {                                      \
        good = check_dwrow(#function, seed, function) && good; \
        count++;                                               \
    }
#define K_ACT_F32(needs, function)                           \
    if (needs <= level) {                                    \
        good = check_act(#function, seed, function) && good; \
        count++;                                             \
    }
#define K_MAXROWS_F32(needs, function)                           \
    if (needs <= level) {                                        \
        good = check_maxrows(#function, seed, function) && good; \
        count++;                                                 \
    }
#define K_WINOGRAD_F32(needs, in, out)                     \
    if (needs <= level) {                                  \
        good = check_winograd(#in, seed, in, out) && good; \
        count++;                                           \
    }
#include "kernels/kernel_list.h"
    printf("%zu kernels up to %s\n", count, clvi_cpu_name(level));
    return good;
}

/* The table must hold whole rows: what it names runs at that level. */
static bool check_table(clvi_cpu level)
{
    const clvi_kernels ref = clvi_kernels_for(CLVI_CPU_REF), best = clvi_kernels_for(level);
    return ref.gemm_f32.run == clvk_gemm_f32_4x16__ref && ref.gemm_f32.mr == 4 && ref.gemm_f32.nr == 16 &&
           best.gemm_f32.run && best.dwconv_f32 && best.im2col_f32 && best.pixel_gemm_f32.run && best.dwrow_f32 &&
           best.act_f32 && best.maxrows_f32 && best.winograd_f32.in && best.winograd_f32.out &&
           best.gemm_f32.nr % 16 == 0 && (level == CLVI_CPU_REF || best.gemm_f32.run != ref.gemm_f32.run);
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)time(NULL);
    clvi_cpu level = clvi_cpu_detect();
    bool mutants = false;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0) {
            seed = strtoull(argv[i] + 7, NULL, 10);
        } else if (strncmp(argv[i], "--cpu=", 6) == 0 && clvi_cpu_parse(argv[i] + 6, &level)) {
        } else if (strcmp(argv[i], "--mutants") == 0) {
            mutants = true;
        } else if (strcmp(argv[i], "--bench") == 0) {
            check_bench(level);
            return 0;
        } else {
            (void)fprintf(stderr, "usage: test_kernels [--seed=N] [--cpu=LEVEL] [--mutants | --bench]\n");
            return 2;
        }
    }
    printf("seed %" PRIu64 "\n", seed);
    const bool good = mutants ? check_mutants(seed) : check_table(level) && check_all(seed, level);
    return good ? 0 : 1;
}
