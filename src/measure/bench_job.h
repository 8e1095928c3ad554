/* SPDX-License-Identifier: Apache-2.0 */
/* A network made ready to be timed: folded copy, made-up inputs, session. */
#ifndef CLVI_MEASURE_BENCH_JOB_H
#define CLVI_MEASURE_BENCH_JOB_H

#include "cleave/bench.h"
#include "graph/graph.h"
#include "report/report.h"
#include "runtime/count.h"
#include "runtime/session.h"

typedef struct clvi_bench_job {
    clvi_graph *graph; /* own, folded */
    clv_context *context;
    clv_tensor *inputs;  /* [n_inputs], own data */
    clv_tensor *outputs; /* [n_outputs] views of the last run */
    clvi_session *session;
    double first_seconds; /* making the session and its first run: planning, packing */
} clvi_bench_job;

/* Ready and run once. Gives what is in *job (clvi_bench_job_free), also on failure. */
clv_status clvi_bench_job_create(clvi_bench_job *job, const clvi_graph *graph, const clv_bench_opts *opts,
                                 clv_context *context, clv_error *err);
void clvi_bench_job_free(clvi_bench_job *job);

/* Make the session anew, with or without a profile, and run it once. */
clv_status clvi_bench_job_start(clvi_bench_job *job, bool profile, clv_error *err);

/* "inputs", "macs", "parameters", "weight_bytes" of the folded network at these inputs; *count says the same. */
clv_status clvi_bench_job_report(const clvi_bench_job *job, clvi_count *count, clvi_item *item, clv_error *err);

/* Seconds of single runs, growing. */
typedef struct clvi_times {
    double *seconds;
    size_t n, capacity;
} clvi_times;

/* Append runs until there are at least `runs` new ones that took at least `seconds` together. */
clv_status clvi_bench_job_time(clvi_bench_job *job, int64_t runs, double seconds, clvi_times *times, clv_error *err);
clv_status clvi_times_add(clvi_times *times, double seconds, clv_error *err);
void clvi_times_sort(clvi_times *times);
double clvi_times_percentile(const clvi_times *times, double percent); /* nearest rank; sorted, at least one */
void clvi_times_free(clvi_times *times);

#endif
