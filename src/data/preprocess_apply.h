/* SPDX-License-Identifier: Apache-2.0 */
/* What preprocessing does to a picture: its geometry, its arithmetic, and its twin with the channels exchanged. */
#ifndef CLVI_DATA_PREPROCESS_APPLY_H
#define CLVI_DATA_PREPROCESS_APPLY_H

#include "cleave/data.h"
#include "data/image.h"

/* Height and width after preprocessing a picture of height x width. CLV_ERR_FORMAT: out of the limits of a picture. */
clv_status clvi_preprocess_size(const clv_preprocess *p, int height, int width, int64_t hw[2], clv_error *err);

/* out[3, hw[0], hw[1]] from one picture; hw as clvi_preprocess_size gives. Reentrant. */
clv_status clvi_preprocess_apply(const clv_preprocess *p, const clvi_image *image, float *out, clv_error *err);

/* The same preprocessing with RGB and BGR exchanged. mean and std follow their colour: what was taken from red is still
 * taken from red. */
clv_preprocess clvi_preprocess_swapped_order(const clv_preprocess *p);

#endif
