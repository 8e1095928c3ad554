/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between float32 and the other floating types of a model file. */
#ifndef CLVI_BASE_HALF_H
#define CLVI_BASE_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/tensor.h"

float clvi_half_to_float(uint16_t half); /* IEEE binary16, exact */
uint16_t clvi_float_to_half(float x);    /* round to nearest even; overflow becomes Inf, NaN stays NaN */
float clvi_bfloat_to_float(uint16_t bfloat);
uint16_t clvi_float_to_bfloat(float x); /* round to nearest even */

/* n elements of a floating dtype (float16, bfloat16, float32, float64) to float32 and back; false for any other dtype.
 */
bool clvi_floats_from(float *to, clv_dtype dtype, const void *from, size_t n);
bool clvi_floats_to(void *to, clv_dtype dtype, const float *from, size_t n);

#endif
