/* SPDX-License-Identifier: Apache-2.0 */
/* One element of any type: for shape arithmetic, Cast and other paths where speed does not matter. */
#ifndef CLVI_OPS_ELEMENT_H
#define CLVI_OPS_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cleave/tensor.h"

bool clvi_is_integer(clv_dtype dtype); /* 8 to 64 bits, signed or not; not bool */

/* Element i of an integer or bool array; uint64 comes as the int64 of the same bits. */
int64_t clvi_load_int(clv_dtype dtype, const void *data, int64_t i);

/* Kept to the width of the type (modulo 2^bits); bool becomes value != 0. */
void clvi_store_int(clv_dtype dtype, void *data, int64_t i, int64_t value);

/* Element i of a float32, integer or bool array. */
double clvi_load_double(clv_dtype dtype, const void *data, int64_t i);

/* float32 is rounded; integers truncate toward zero, values out of range and NaN become what x86 gives: the least
 * int64, kept to the width of the type. */
void clvi_store_double(clv_dtype dtype, void *data, int64_t i, double value);

/* The sum of n floats in double: eight interleaved partial sums, in an order that depends on n alone. */
double clvi_sum(const float *x, int64_t n);

#endif
