/* SPDX-License-Identifier: Apache-2.0 */
/* Timing a network: what include/cleave/bench.h promises. */
#ifndef CLVI_MEASURE_BENCH_H
#define CLVI_MEASURE_BENCH_H

#include "cleave/bench.h"
#include "graph/graph.h"
#include "report/report.h"

clv_status clvi_bench(const clvi_graph *graph, const clv_bench_opts *opts, clv_context *context, clvi_item *report,
                      clv_error *err);

clv_status clvi_bench_against(const clvi_graph *graph, const clv_bench_opts *opts, const clv_against_opts *against,
                              clv_context *context, clvi_item *report, clv_error *err);

typedef struct clvi_contestant {
    const clvi_graph *graph;
    const char *path; /* for other engines */
} clvi_contestant;

/* pair: an original and what was made of it. against->path is not used, against->engines may be NULL. */
clv_status clvi_bench_pair(const clvi_contestant pair[2], const clv_bench_opts *opts, const clv_against_opts *against,
                           clv_context *context, clvi_item *report, clv_error *err);

/* CLV_ERR_ARG: rounds or blocks that cannot be. */
clv_status clvi_bench_check_against(const clv_against_opts *against, clv_error *err);

void clvi_bench_pause(void); /* until threads that spin have gone to sleep */

#endif
