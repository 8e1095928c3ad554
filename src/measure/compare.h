/* SPDX-License-Identifier: Apache-2.0 */
/* Running statistics of a tensor over many images, and of its difference from another. */
#ifndef CLVI_MEASURE_COMPARE_H
#define CLVI_MEASURE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct clvi_compare {
    double count, sum, square, low, high;      /* of b */
    double diff_square, base_square, max_diff; /* of b - a, and of a */
    bool compared;                             /* an a was given */
    bool not_finite;                           /* a NaN or Inf was met; the sums leave those elements out */
} clvi_compare;

/* Add n elements of b, and of a unless it is NULL. */
void clvi_compare_add(clvi_compare *c, const float *a, const float *b, size_t n);

double clvi_compare_mean(const clvi_compare *c);
double clvi_compare_std(const clvi_compare *c);

/* rms(b - a) / rms(a); 0 when they are the same, Inf when only a is zero or one of them is not finite where the other
 * is; NaN when nothing was compared. */
double clvi_compare_error(const clvi_compare *c);

#endif
