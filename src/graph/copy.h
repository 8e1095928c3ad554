/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a graph's parts into an arena. Each returns NULL (or false) when memory is short. */
#ifndef CLVI_GRAPH_COPY_H
#define CLVI_GRAPH_COPY_H

#include "graph/graph.h"

/* n elements of `size` bytes; never NULL for n = 0 while memory lasts. */
void *clvi_copy_array(clvi_arena *arena, const void *from, size_t n, size_t size);

/* A NUL follows the data. */
bool clvi_copy_blob(clvi_arena *arena, clvi_blob *to, clvi_blob from);

/* With its data; the shape must have been checked. */
clv_tensor *clvi_copy_tensor(clvi_arena *arena, const clv_tensor *from);

/* CLV_ERR_ARG unless the tensor is whole: rank, dims, an element type with a size, data. `what` names it. */
clv_status clvi_check_tensor(const clv_tensor *tensor, const char *what, clv_error *err);

#endif
