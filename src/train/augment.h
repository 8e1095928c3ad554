/* SPDX-License-Identifier: Apache-2.0 */
/* Random changes of training images, each drawn from a stream of random numbers of its own: the same image in the same
 * place of the same step is changed alike in any process.
 *
 * In this order: crop and resize, shift, mirror, colour, cutout. Pixels are what preprocessing made of them: with
 * arrays, black is 0 and there are no colours. */
#ifndef CLVI_TRAIN_AUGMENT_H
#define CLVI_TRAIN_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "cleave/data.h"

typedef struct clvi_augment_opts {
    int64_t shift;  /* padded by so many black pixels, then cropped at random; 0: not */
    bool flip;      /* left and right exchanged for every other image */
    int64_t cutout; /* side of a square that is made black, anywhere in the image, cut at its border; 0: none */
    double crop;    /* smallest share of the image that a crop keeps, in (0, 1]; 0: none */
    double jitter;  /* brightness, contrast and saturation times 1 - jitter to 1 + jitter, in [0, 1]; 0: none */
} clvi_augment_opts;

typedef struct clvi_augment {
    clvi_augment_opts opts;
    int64_t c, h, w;
    /* of a channel as the network sees it: what a black and a white pixel are, and the channel's part in the grey
     * of an image; unit: its pixel range, in a common scale */
    float black[3], white[3], grey[3], unit[3];
} clvi_augment;

/* CLV_ERR_UNSUP: colours of something that is no picture. preprocess: NULL for arrays. Reentrant. */
clv_status clvi_augment_create(clvi_augment *out, const clvi_augment_opts *opts, const int64_t chw[3],
                               const clv_preprocess *preprocess, clv_error *err);

/* out[c, h, w] of in[c, h, w]; room[c, h, w]: scratch, needed with crop alone. Reentrant. */
void clvi_augment_image(const clvi_augment *a, float *out, const float *in, float *room, clvi_rng *rng);

/* The larger part, lambda or 1 - lambda, of a mixture; lambda ~ Beta(alpha, alpha), alpha in (0, 1]. Reentrant. */
double clvi_augment_share(clvi_rng *rng, double alpha);

#endif
