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

#endif
