/* SPDX-License-Identifier: Apache-2.0 */
/* The last pointwise convolution of a classifier behind the average that follows it. Its output goes through an
 * activation f into the mean over all pixels and nowhere else; averaging cells of k x k pixels before it makes it k^2
 * times cheaper:
 *
 *   mean over pixels of f(W x + b)   becomes   g mean over cells of f(W mean_cell(x) + b)
 *
 * which is exact where f is linear over each cell (in a class map f is far from its knee nearly everywhere). `size` is
 * k, a common divisor of the map's two sides; 0: the whole map. g >= 0 is the one number that is fitted: f is
 * convex as a rule, so the right side is too small. Pads of a pointwise convolution see constants, f(b), so they are
 * taken out and added behind the mean; k = 1 does that alone and is exact. */
#ifndef CLVI_DECOMPOSE_AVERAGE_H
#define CLVI_DECOMPOSE_AVERAGE_H

#include "decompose/form.h"

extern const clvi_form clvi_form_average;

/* The sizes that a convolution can have, ascending; 0 of them where the form refuses it. */
#define CLVI_AVERAGE_SIZES 8
size_t clvi_average_sizes(int64_t size[CLVI_AVERAGE_SIZES], const clvi_conv *conv);

#endif
