/* SPDX-License-Identifier: Apache-2.0 */
/* How well a network does on a data set. */
#ifndef CLVI_MEASURE_EVALUATE_H
#define CLVI_MEASURE_EVALUATE_H

#include "base/context.h"
#include "cleave/measure.h"
#include "graph/graph.h"
#include "report/report.h"

/* clv_evaluate on graphs; all borrowed. opts->against is not looked at. */
typedef struct clvi_evaluate_job {
    const clvi_graph *graph, *against; /* against may be NULL */
    clv_dataset *dataset;
    const clv_evaluate_opts *opts;
    clv_context *context;
    clvi_item *report;
} clvi_evaluate_job;

clv_status clvi_evaluate(const clvi_evaluate_job *job, clv_error *err);

#endif
