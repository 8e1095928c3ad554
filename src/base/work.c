/* SPDX-License-Identifier: Apache-2.0 */
#include "base/work.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic uint64_t nanoseconds[CLVI_WORK_KINDS], kilo_macs[CLVI_WORK_KINDS];

uint64_t clvi_work_start(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void clvi_work_add(clvi_work kind, uint64_t start, double macs)
{
    atomic_fetch_add_explicit(&nanoseconds[kind], clvi_work_start() - start, memory_order_relaxed);
    atomic_fetch_add_explicit(&kilo_macs[kind], (uint64_t)(macs / 1000 + 0.5), memory_order_relaxed);
}

double clvi_work_seconds(clvi_work kind)
{
    return 1e-9 * (double)atomic_load_explicit(&nanoseconds[kind], memory_order_relaxed);
}

double clvi_work_flops(clvi_work kind)
{
    return 2e3 * (double)atomic_load_explicit(&kilo_macs[kind], memory_order_relaxed);
}
