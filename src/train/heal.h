/* SPDX-License-Identifier: Apache-2.0 */
/* Healing on graphs; clv_heal (include/cleave/heal.h) is its public face. */
#ifndef CLVI_TRAIN_HEAL_H
#define CLVI_TRAIN_HEAL_H

#include "cleave/heal.h"
#include "graph/graph.h"

/* Gives *out, the healed copy of `graph` with BatchNorm folded (clvi_graph_free). */
clv_status clvi_heal(clvi_graph **out, const clvi_graph *graph, const clvi_graph *teacher, clv_dataset *images,
                     const clv_preprocess *preprocess, const clv_heal_opts *opts, clv_context *context,
                     clv_report *report, clv_error *err);

#endif
