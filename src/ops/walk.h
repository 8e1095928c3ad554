/* SPDX-License-Identifier: Apache-2.0 */
/* Loops over tensors, written once: broadcasting and strided N-d walks in parallel, and splitting of plain ranges. */
#ifndef CLVI_OPS_WALK_H
#define CLVI_OPS_WALK_H

#include "base/pool.h"
#include "ops/op.h"

#define CLVI_WALK_RANK     (2 * CLV_MAX_RANK) /* Tile and DepthToSpace walk over split axes */
#define CLVI_WALK_OPERANDS 4

/* An index space and up to four operands, each a base pointer and one byte stride an axis (0: broadcast; negative:
 * reversed). */
typedef struct clvi_walk {
    int rank, operands;
    int64_t dims[CLVI_WALK_RANK];
    char *base[CLVI_WALK_OPERANDS];
    int64_t stride[CLVI_WALK_OPERANDS][CLVI_WALK_RANK];
} clvi_walk;

/* One row of the walk: p[k] + i * stride[k] for i in [0, n). */
typedef void (*clvi_walk_row)(void *ctx, char *const *p, const int64_t *stride, int64_t n);

clvi_walk clvi_walk_over(int rank, const int64_t *dims);

/* Add an operand with explicit byte strides. */
void clvi_walk_add(clvi_walk *walk, const void *base, const int64_t *stride);

/* Add a dense tensor, broadcast to the walk's shape by NumPy's rules (which must hold). */
void clvi_walk_add_tensor(clvi_walk *walk, const clv_tensor *tensor);

/* Call `row` for every row; axes that all operands run through evenly are merged first. Rows are cut and handed to the
 * pool in pieces that depend on the shape alone; different rows must not write the same bytes. */
void clvi_walk_run(clvi_walk *walk, clvi_pool *pool, clvi_walk_row row, void *ctx);

/* Byte strides of a dense tensor of this shape. */
void clvi_dense_strides(int rank, const int64_t *dims, size_t element, int64_t *stride);

/* Copy elements of 1, 2, 4, 8 or 16 bytes: to[index * to_stride] = from[index * from_stride] over dims. */
void clvi_copy_strided(clvi_pool *pool, size_t element, int rank, const int64_t *dims, void *to,
                       const int64_t *to_stride, const void *from, const int64_t *from_stride);

/* Every axis chooses on its own: to[i, j, ...] = from[offset[0][i] + offset[1][j] + ...], offsets in bytes; a negative
 * offset on any axis takes *outside instead. to is dense, rank >= 1, no extent 0. */
typedef struct clvi_choice {
    size_t element;
    int rank;
    const int64_t *dims;
    void *to;
    const void *from, *outside;
    const int64_t *offset[CLV_MAX_RANK];
} clvi_choice;
void clvi_copy_chosen(clvi_pool *pool, clvi_choice *choice);

/* Fill n elements of that size with *value. */
void clvi_fill(void *to, size_t element, const void *value, int64_t n);

/* memcpy that accepts NULL when n is 0, and to == from. */
void clvi_copy_bytes(void *to, const void *from, size_t n);

/* Tasks over [0, n): fn(ctx, begin, end) on pieces of `grain` (>= 1). */
typedef void (*clvi_range)(void *ctx, int64_t begin, int64_t end);
void clvi_split_range(clvi_pool *pool, int64_t n, int64_t grain, clvi_range fn, void *ctx);

/* A tensor seen around one axis: [outer, n, inner]. */
typedef struct clvi_axis_view {
    int64_t outer, n, inner;
} clvi_axis_view;
clvi_axis_view clvi_view_axis(const clv_tensor *tensor, int axis);

#endif
