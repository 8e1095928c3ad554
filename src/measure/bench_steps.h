/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of a run goes: one row for each step. */
#ifndef CLVI_MEASURE_BENCH_STEPS_H
#define CLVI_MEASURE_BENCH_STEPS_H

#include "measure/bench_job.h"
#include "measure/machine.h"

typedef struct clvi_bench_step {
    const char *nodes;  /* labels of the ONNX nodes that it runs; views the graph or the session */
    const char *kernel; /* how */
    double seconds;     /* of one run */
    double macs, bytes; /* multiply-adds; bytes that must be moved at least: inputs, weights, outputs, each once */
} clvi_bench_step;

/* Profile `runs` runs of the job, whose session is made anew. Gives *steps (clvi_free), in order of execution, without
 * those that take no time; valid until the job changes. */
clv_status clvi_bench_steps(clvi_bench_step **steps, size_t *n, clvi_bench_job *job, int64_t runs, clv_error *err);

/* The table "layers", slowest first. Sorts the steps. */
void clvi_report_steps(clvi_bench_step *steps, size_t n, const clvi_machine *machine, int threads, clvi_item *table);

/* Steps in order of execution as Chrome trace events, one after another. The file is replaced whole or not at all. */
clv_status clvi_trace_write(const clvi_bench_step *steps, size_t n, const char *path, clv_error *err);

#endif
