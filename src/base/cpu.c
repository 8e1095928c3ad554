/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/cpu.h"

#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"ref", "avx2", "avx512", "neon"};

clvi_cpu clvi_cpu_detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CLVI_CPU_REF;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return CLVI_CPU_AVX512;
    return CLVI_CPU_AVX2;
#elif defined(__aarch64__)
    return CLVI_CPU_NEON;
#else
    return CLVI_CPU_REF;
#endif
}

const char *clvi_cpu_name(clvi_cpu level)
{
    return level_names[level];
}

bool clvi_cpu_parse(const char *name, clvi_cpu *level)
{
    const clvi_cpu best = clvi_cpu_detect();
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            const clvi_cpu found = (clvi_cpu)i;
            if (found == CLVI_CPU_NEON ? best != CLVI_CPU_NEON : best != CLVI_CPU_NEON && found > best)
                return false;
            if (best == CLVI_CPU_NEON && found != CLVI_CPU_NEON && found != CLVI_CPU_REF)
                return false;
            *level = found;
            return true;
        }
    }
    return false;
}

/* cgroup v2: "max 100000" or "200000 100000" (microseconds of quota and period). */
static int cgroup_cores(void)
{
    long quota = 0, period = 0;
    int cores = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
        cores = (int)((quota + period - 1) / period);
    (void)fclose(f);
    return cores;
}

int clvi_cpu_cores(void)
{
    cpu_set_t set;
    int cores = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = CPU_COUNT(&set);
    if (cores < 1)
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const int quota = cgroup_cores();
    if (quota > 0 && quota < cores)
        cores = quota;
    return cores < 1 ? 1 : cores;
}
