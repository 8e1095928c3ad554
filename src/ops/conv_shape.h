/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of a convolution, resolved from a node's attributes and shapes. 1-D convolutions have h = kh = 1. */
#ifndef CLVI_OPS_CONV_SHAPE_H
#define CLVI_OPS_CONV_SHAPE_H

#include <stdint.h>

#include "graph/graph.h"

typedef struct clvi_conv_shape {
    int64_t n;         /* batch */
    int64_t c, h, w;   /* input */
    int64_t o, oh, ow; /* output */
    int64_t groups;
    int64_t kh, kw;         /* kernel */
    int64_t sh, sw;         /* strides */
    int64_t dh, dw;         /* dilations */
    int64_t pt, pl, pb, pr; /* pads: top, left, bottom, right; never negative */
    int rank;               /* of the tensors: 3 or 4 */
} clvi_conv_shape;

/* Conv (ONNX 1, 11, 22): x [n,c,h,w] or [n,c,w], w [o, c/groups, kh, kw]. auto_pad is resolved. Every product is
 * checked; CLV_ERR_FORMAT names the node and the numbers. CLV_ERR_UNSUP for 3-D. */
clv_status clvi_conv_shape_of(const clvi_graph *graph, const clvi_node *node, const clv_tensor *x, const clv_tensor *w,
                              clvi_conv_shape *out, clv_error *err);

/* ConvTranspose (ONNX 1, 11, 22): w [c, o/groups, kh, kw], output_padding and output_shape resolved into oh, ow and
 * pads. oh may reach beyond what the input covers: those rows hold the bias. */
clv_status clvi_conv_transpose_shape_of(const clvi_graph *graph, const clvi_node *node, const clv_tensor *x,
                                        const clv_tensor *w, clvi_conv_shape *out, clv_error *err);

/* n * o * oh * ow * (c / groups) * kh * kw */
int64_t clvi_conv_macs(const clvi_conv_shape *s);

#endif
