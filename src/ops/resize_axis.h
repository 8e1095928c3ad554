/* SPDX-License-Identifier: Apache-2.0 */
/* Resize along one axis: which inputs make output x, with what weights. */
#ifndef CLVI_OPS_RESIZE_AXIS_H
#define CLVI_OPS_RESIZE_AXIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Output position -> input coordinate (ONNX Resize, coordinate_transformation_mode). */
typedef enum clvi_resize_coordinate {
    CLVI_HALF_PIXEL,
    CLVI_HALF_PIXEL_SYMMETRIC,
    CLVI_PYTORCH_HALF_PIXEL,
    CLVI_ALIGN_CORNERS,
    CLVI_ASYMMETRIC,
    CLVI_TF_HALF_PIXEL_FOR_NN,
    CLVI_TF_CROP_AND_RESIZE
} clvi_resize_coordinate;

/* Which neighbour is nearest (nearest_mode). SIMPLE is what opsets 7 to 10 did: floor, or ceil when shrinking. */
typedef enum clvi_resize_nearest {
    CLVI_ROUND_PREFER_FLOOR,
    CLVI_ROUND_PREFER_CEIL,
    CLVI_NEAREST_FLOOR,
    CLVI_NEAREST_CEIL,
    CLVI_NEAREST_SIMPLE
} clvi_resize_nearest;

typedef struct clvi_resize_axis {
    int64_t in, out;
    /* The scale is den / num: with sizes num = in and den = out, so that x * num / den is exact where it can be;
     * with scales num = 1. */
    double num, den;
    double roi_begin, roi_end; /* of CLVI_TF_CROP_AND_RESIZE, in units of the input */
    clvi_resize_coordinate coordinate;
    clvi_resize_nearest nearest;
    bool cubic, antialias, exclude_outside;
    double cubic_a;
} clvi_resize_axis;

/* The axis is copied unchanged. */
bool clvi_resize_is_identity(const clvi_resize_axis *axis);

/* Index of the input that output x takes; -1: outside the region (CLVI_TF_CROP_AND_RESIZE). */
int64_t clvi_resize_nearest_index(const clvi_resize_axis *axis, int64_t x);

/* How many inputs weigh on each output: 2, 4, or more with antialias when shrinking. */
int64_t clvi_resize_taps(const clvi_resize_axis *axis);

/* Those inputs of output x and their weights, clvi_resize_taps() of each; index[0] = -1: outside the region. */
void clvi_resize_weights(const clvi_resize_axis *axis, int64_t x, int64_t *index, float *weight);

#endif
