/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a graph, as a graph of its own. */
#ifndef CLVI_GRAPH_EXTRACT_H
#define CLVI_GRAPH_EXTRACT_H

#include "graph/graph.h"

/* The nodes that compute `outputs` from `inputs` and constants, with the same value ids. Views: nodes, names and
 * constants stay those of `graph`, which must outlive *out and must not change meanwhile; *out is for running, not for
 * writing or rewriting. An input may be any value that is not a constant; what lies before it is left out. Values that
 * depend on a graph input that is not in `inputs` keep that as an input behind the given ones. Gives *out
 * (clvi_graph_free). */
clv_status clvi_graph_extract(clvi_graph **out, const clvi_graph *graph, const int32_t *inputs, size_t n_inputs,
                              const int32_t *outputs, size_t n_outputs, clv_error *err);

/* live[n_values]: the values that nodes before `at` compute (or the graph's inputs), that are no constants, and that
 * `wanted` depends on through node `at` or a later one. */
clv_status clvi_graph_live_at(bool *live, const clvi_graph *graph, size_t at, const int32_t *wanted, size_t n_wanted,
                              clv_error *err);

#endif
