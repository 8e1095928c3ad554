/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/blas.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
/* Of OpenBLAS built for several processors (DYNAMIC_ARCH); absent from others. */
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

/* OpenBLAS 0.3.21 names its fallback Prescott, whatever the processor can do; no processor with AVX2 is one. Its choice
 * is made again with a family named that has the same instructions. */
static void choose_kernels(void)
{
    const char *family = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
                             ? "SkylakeX"
                         : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "Haswell"
                                                                                           : NULL;
    if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit || !family || getenv("OPENBLAS_CORETYPE") ||
        strcmp(openblas_get_corename(), "Prescott") != 0)
        return;
    if (setenv("OPENBLAS_CORETYPE", family, 1) != 0)
        return;
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    (void)unsetenv("OPENBLAS_CORETYPE");
}
#else
static void choose_kernels(void)
{
}
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;

void clvi_blas_prepare(void)
{
    (void)pthread_once(&once, choose_kernels);
    if (openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
}
