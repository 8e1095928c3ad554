/* SPDX-License-Identifier: Apache-2.0 */
/* What a network is, found out without running it. */
#ifndef CLVI_MEASURE_INSPECT_H
#define CLVI_MEASURE_INSPECT_H

#include "cleave/measure.h"
#include "graph/graph.h"
#include "report/report.h"

/* clv_inspect on a graph; report is the root of the report. */
clv_status clvi_inspect(const clvi_graph *graph, const clv_input_shape *shapes, size_t n_shapes, clvi_item *report,
                        clv_error *err);

#endif
