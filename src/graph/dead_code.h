/* SPDX-License-Identifier: Apache-2.0 */
/* Removes what no output depends on. */
#ifndef CLVI_GRAPH_DEAD_CODE_H
#define CLVI_GRAPH_DEAD_CODE_H

#include "graph/graph.h"

/* Remove the nodes that no graph output depends on, and the initializers that nothing reads any more; initializers that
 * nothing read when the file came in stay. *removed (may be NULL) counts nodes. Value ids do not change: a removed
 * value stays in the table without a source. The graph must pass clvi_graph_verify. */
clv_status clvi_pass_dead_code(clvi_graph *graph, size_t *removed, clv_error *err);

#endif
