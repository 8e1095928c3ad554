/* SPDX-License-Identifier: Apache-2.0 */
/* Training on graphs; clv_train (include/cleave/train.h) is its public face. */
#ifndef CLVI_TRAIN_TRAIN_H
#define CLVI_TRAIN_TRAIN_H

#include "cleave/train.h"
#include "graph/graph.h"

/* Gives *out, the trained copy of `graph` (clvi_graph_free). */
clv_status clvi_train(clvi_graph **out, const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                      const clv_train_opts *opts, clv_context *context, clv_report *report, clv_error *err);

#endif
