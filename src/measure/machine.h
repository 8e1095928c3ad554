/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine can do at most, measured: multiply-adds and moved bytes a second. Times are compared with it. */
#ifndef CLVI_MEASURE_MACHINE_H
#define CLVI_MEASURE_MACHINE_H

#include "base/context.h"
#include "kernels/kernels.h"
#include "report/report.h"

#define CLVI_COPY_SIZES 6

typedef struct clvi_machine {
    char cpu[96];                       /* as the system names it; "" when it does not */
    double fma;                         /* multiply-adds a second of all threads together */
    double copy_bytes[CLVI_COPY_SIZES]; /* bytes that a thread works on ... */
    double copy_rate[CLVI_COPY_SIZES];  /* ... and the bytes that all threads together read and write a second then */
} clvi_machine;

/* The processor as the system names it, "" when it does not. */
void clvi_machine_cpu(char *name, size_t size);

/* The FMA peak alone: the gemm tile on operands that stay in L1, one task a thread, the best of some runs.
 * Multiply-adds a second of all threads together; 0 when memory is short. */
double clvi_machine_fma(const clvi_kernels *kernels, clvi_pool *pool);

/* Everything, in about 0.3 s. CLV_ERR_NOMEM. */
clv_status clvi_machine_measure(clvi_machine *out, const clv_context *context, clv_error *err);

/* The least seconds for this work: every multiply-add at the peak, or every byte at the rate of the smallest measured
 * size that holds them, whichever takes longer. *memory: it is the bytes. */
double clvi_machine_floor(const clvi_machine *machine, double macs, double bytes, int threads, bool *memory);

/* "cpu", "isa", "threads", "fma_gflops", "copy_gbs_l1", "copy_gbs_memory". */
void clvi_report_machine(const clvi_machine *machine, const clv_context *context, clvi_item *item);

#endif
