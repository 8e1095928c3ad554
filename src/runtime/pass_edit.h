/* SPDX-License-Identifier: Apache-2.0 */
/* What passes share: all-or-nothing application. */
#ifndef CLVI_RUNTIME_PASS_EDIT_H
#define CLVI_RUNTIME_PASS_EDIT_H

#include "graph/graph.h"

/* Run `apply` on a copy; on CLV_OK remove what no output needs, check the structure and put the copy in graph's place.
 */
clv_status clvi_pass_apply(clvi_graph *graph, clv_status (*apply)(clvi_graph *copy, clv_error *err), clv_error *err);

/* Uses of each value: node inputs, captures, and 1 for a graph output. counts[n_values] is written whole. */
void clvi_count_uses(const clvi_graph *graph, size_t *counts);

/* Take out the nodes for which gone[i]; order is kept. */
void clvi_remove_nodes(clvi_graph *graph, const bool *gone);

#endif
