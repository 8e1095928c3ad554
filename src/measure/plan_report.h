/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime makes of a network: steps and memory; clv_plan (include/cleave/bench.h) is its public face. */
#ifndef CLVI_MEASURE_PLAN_REPORT_H
#define CLVI_MEASURE_PLAN_REPORT_H

#include "measure/bench_job.h"

clv_status clvi_plan_report(const clvi_graph *graph, const clv_bench_opts *opts, clv_context *context,
                            clvi_item *report, clv_error *err);

#endif
