/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of any numeric type, looked at as float32. */
#ifndef CLVI_MEASURE_FLOATS_H
#define CLVI_MEASURE_FLOATS_H

#include "base/status.h"
#include "cleave/tensor.h"

/* Room for one converted tensor; start it empty, end it with clvi_floats_free. */
typedef struct clvi_floats {
    float *data;
    size_t capacity; /* elements */
} clvi_floats;

/* *out: the n elements of `tensor` as float32: its own data when it is float32, else a copy in `room`, valid until the
 * next call. CLV_ERR_UNSUP for text and complex numbers. */
clv_status clvi_floats_of(const float **out, size_t *n, clvi_floats *room, const clv_tensor *tensor, clv_error *err);

void clvi_floats_free(clvi_floats *room);

#endif
