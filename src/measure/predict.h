/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of a network for every image of a data set, handed over one by one. */
#ifndef CLVI_MEASURE_PREDICT_H
#define CLVI_MEASURE_PREDICT_H

#include "base/context.h"
#include "cleave/measure.h"
#include "graph/graph.h"

/* clv_predict on a graph. */
clv_status clvi_predict(const clvi_graph *graph, clv_dataset *dataset, const clv_preprocess *preprocess,
                        const clv_visitor *visitor, clv_context *context, clv_error *err);

#endif
