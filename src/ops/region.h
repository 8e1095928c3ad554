/* SPDX-License-Identifier: Apache-2.0 */
/* What Slice and Pad do, axis by axis: for their own kernels and for the planner, which runs them on pixels. */
#ifndef CLVI_OPS_REGION_H
#define CLVI_OPS_REGION_H

#include "ops/op.h"

/* Slice: output index i of an axis is input index start + i * step. */
typedef struct clvi_slice {
    int64_t start[CLV_MAX_RANK], step[CLV_MAX_RANK], dims[CLV_MAX_RANK];
} clvi_slice;
clv_status clvi_slice_of(const clvi_op_call *call, clvi_slice *out, clv_error *err);

/* Pad: output index i of an axis is input index i - begin. */
typedef struct clvi_border {
    int64_t begin[CLV_MAX_RANK], dims[CLV_MAX_RANK]; /* dims: of the output */
} clvi_border;
clv_status clvi_border_of(const clvi_op_call *call, clvi_border *out, clv_error *err);
bool clvi_border_is_zero(const clvi_op_call *call); /* filled with zeros, of a known value */

#endif
