/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of a pooling node, resolved from attributes and the input's shape. */
#ifndef CLVI_OPS_POOL_SHAPE_H
#define CLVI_OPS_POOL_SHAPE_H

#include "ops/op.h"

/* Three spatial axes; those a tensor lacks come first and are trivial (extent, kernel, stride, dilation 1). */
typedef struct clvi_pool_shape {
    int spatial;           /* 1 to 3 */
    int64_t planes;        /* n * c */
    int64_t in[3], out[3]; /* extents; their products: */
    int64_t in_size, out_size;
    int64_t kernel[3], stride[3], dilation[3], begin[3], end[3];
} clvi_pool_shape;

/* MaxPool, AveragePool, LpPool: x [n, c, spatial...]. auto_pad and ceil_mode are resolved; a window that would start
 * behind the input and its leading pad is not counted (ceil_mode). Every size is below 2^31. CLV_ERR_FORMAT names the
 * numbers. */
clv_status clvi_pool_shape_of(const clvi_op_call *call, clvi_pool_shape *out, clv_error *err);

/* Output k gets the pooled shape. */
clv_status clvi_pool_set_output(const clvi_op_call *call, const clvi_pool_shape *shape, size_t k, clv_dtype dtype,
                                clv_error *err);

#endif
