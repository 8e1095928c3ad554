/* SPDX-License-Identifier: Apache-2.0 */
/* Where two networks part: the same inputs through both, tensor by tensor. */
#ifndef CLVI_MEASURE_DIFF_H
#define CLVI_MEASURE_DIFF_H

#include "base/context.h"
#include "cleave/measure.h"
#include "graph/graph.h"
#include "report/report.h"

/* clv_diff on graphs; all borrowed. opts->names is not looked at: opts->inputs are in the order of a's inputs. */
typedef struct clvi_diff_job {
    const clvi_graph *a, *b;
    const clv_diff_opts *opts;
    clv_context *context;
    clvi_item *report;
} clvi_diff_job;

clv_status clvi_diff(const clvi_diff_job *job, clv_error *err);

#endif
