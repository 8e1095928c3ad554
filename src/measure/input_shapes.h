/* SPDX-License-Identifier: Apache-2.0 */
/* Concrete shapes for the inputs of a network, from what it declares and what the user says. */
#ifndef CLVI_MEASURE_INPUT_SHAPES_H
#define CLVI_MEASURE_INPUT_SHAPES_H

#include "cleave/measure.h"
#include "graph/graph.h"

/* inputs[graph->n_inputs]: given shapes first, declared ones else; what both leave open becomes 1 for the first
 * dimension and 224 for the others, and assumed[i] tells so. CLV_ERR_ARG: an unknown input, or a contradiction. */
clv_status clvi_input_shapes(clv_tensor *inputs, bool *assumed, const clvi_graph *graph, const clv_input_shape *shapes,
                             size_t n_shapes, clv_error *err);

/* "1x3x224x224"; symbols by name and "?" when there is none. "scalar" for rank 0, "unknown" for rank -1. */
void clvi_shape_text(char *text, size_t size, int rank, const int64_t *dims, const char *const *symbols);

#endif
