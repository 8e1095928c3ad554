/* SPDX-License-Identifier: Apache-2.0 */
/* From one image's activations to rows of patches and targets. */
#ifndef CLVI_COMPRESS_SAMPLE_H
#define CLVI_COMPRESS_SAMPLE_H

#include "compress/calibration.h"

/* The patches of one group that a site sees at image's places: to[count, q], q = c/groups kh kw, [channel, kh, kw] in
 * each row, zero outside the image. x: that image's input of the convolution, [c, h, w]. Reentrant. */
void clvi_sample_patches(float *to, const clvi_places *places, const clvi_site *site, int64_t group, int64_t image,
                         const float *x);

/* The same places of an output-sized map y[o, oh, ow]: to[count, o]. Reentrant. */
void clvi_sample_outputs(float *to, const clvi_places *places, int64_t o, int64_t image, const float *y);

/* Rows that an image has. */
int64_t clvi_sample_count(const clvi_places *places, int64_t image);

#endif
