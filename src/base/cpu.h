/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU can do, and how many cores this process may use. */
#ifndef CLVI_BASE_CPU_H
#define CLVI_BASE_CPU_H

#include <stdbool.h>

/* Cumulative instruction-set levels; a kernel of level L runs on every CPU of level >= L. */
typedef enum clvi_cpu {
    CLVI_CPU_REF = 0,    /* plain C, baseline flags */
    CLVI_CPU_AVX2 = 1,   /* AVX2, FMA, F16C */
    CLVI_CPU_AVX512 = 2, /* + AVX-512 F, BW, DQ, VL */
    CLVI_CPU_NEON = 3    /* AArch64 only */
} clvi_cpu;

clvi_cpu clvi_cpu_detect(void); /* the best level of this machine */
const char *clvi_cpu_name(clvi_cpu level);

/* "ref", "avx2", "avx512", "neon"; false when the name is unknown or above what this machine has. */
bool clvi_cpu_parse(const char *name, clvi_cpu *level);

/* min(affinity mask, cgroup v2 quota rounded up), at least 1. */
int clvi_cpu_cores(void);

#endif
