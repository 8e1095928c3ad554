/* SPDX-License-Identifier: Apache-2.0 */
/* A way to compute a convolution; the cheapest that fits is taken. All are NCHW, split work by output alone, and give
 * an image the same bits whatever the batch and the number of threads. */
#ifndef CLVI_OPS_CONV_ALGO_H
#define CLVI_OPS_CONV_ALGO_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/conv_shape.h"

typedef struct clvi_conv_job {
    const clvi_conv_shape *shape;
    const clvi_kernels *kernels;
    clvi_pool *pool;
    const float *x, *bias; /* bias may be NULL */
    const float *weights;  /* as pack() left them */
    float *y;
    void *work; /* work() bytes, CLV_ALIGN-aligned */
} clvi_conv_job;

typedef struct clvi_conv_algo {
    const char *name;
    bool (*fits)(const clvi_conv_shape *s);
    double (*cost)(const clvi_conv_shape *s, const clvi_kernels *kernels); /* of an image, in multiply-adds */
    size_t (*packed_bytes)(const clvi_conv_shape *s, const clvi_kernels *kernels);
    void (*pack)(const clvi_conv_shape *s, const clvi_kernels *kernels, const float *w, float *packed);
    size_t (*work_bytes)(const clvi_conv_shape *s, const clvi_kernels *kernels, int threads);
    void (*run)(const clvi_conv_job *job);
} clvi_conv_algo;

extern const clvi_conv_algo clvi_conv_pointwise; /* 1x1: the image is the matrix */
extern const clvi_conv_algo clvi_conv_im2col;    /* any: windows packed into panels, block by block */
extern const clvi_conv_algo clvi_conv_whole;     /* the window covers the image: a product over the batch */
extern const clvi_conv_algo clvi_conv_depthwise; /* one input channel a group, any number of outputs */

const clvi_conv_algo *clvi_conv_choose(const clvi_conv_shape *s, const clvi_kernels *kernels);

#endif
