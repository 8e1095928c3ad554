/* SPDX-License-Identifier: Apache-2.0 */
/* From images to moments: run a network over the calibration set and sample patches and targets at random positions.
 *
 * Positions are drawn once per (image, site) from the seed, so that the original and the compressed network are looked
 * at in the same places, in any number of passes. */
#ifndef CLVI_COMPRESS_COLLECT_H
#define CLVI_COMPRESS_COLLECT_H

#include "cleave/data.h"
#include "compress/sites.h"
#include "decompose/moments.h"

/* The calibration images, as the collectors need them. All pointers borrowed. */
typedef struct clvi_calibration {
    clv_dataset *data;
    const clv_preprocess *preprocess;
    int64_t images;    /* used: spread evenly over the whole set */
    int64_t per_image; /* positions per image and site */
    int64_t batch;
    int64_t chw[3]; /* of the network's input */
    uint64_t seed;
    bool *bad; /* [images], owned: met as corrupt; filled by the first pass */
    clv_context *context;
} clvi_calibration;

/* Decide how many images and positions give `samples` patches. CLV_ERR_DATA when the images do not fit the graph's
 * input. */
clv_status clvi_calibration_create(clvi_calibration *out, clv_dataset *data, const clv_preprocess *preprocess,
                                   const clvi_graph *graph, int64_t samples, int64_t batch, uint64_t seed,
                                   clv_context *context, clv_error *err);
void clvi_calibration_free(clvi_calibration *c);

/* What the original network gives at the sampled positions: y, or the block's sum where there is a shortcut to repair.
 */
typedef struct clvi_targets {
    size_t n;     /* sites */
    float **rows; /* [n] of [images * per_image, o], NULL for kept sites */
} clvi_targets;

/* One pass over the images with the original graph. use_sum[i]: take the sum instead of y at site i. */
clv_status clvi_targets_collect(clvi_targets *out, const clvi_graph *original, const clvi_sites *sites,
                                const bool *use_sum, clvi_calibration *calibration, clv_error *err);
void clvi_targets_free(clvi_targets *t);

/* One pass with `graph` (the original, or what it has become so far): the moments of x at site i against its target,
 * minus the graph's own shortcut where subtract_shortcut. Gives moments[groups] (clvi_moments_free each, then
 * clvi_free). */
clv_status clvi_site_moments(clvi_moments **out, const clvi_graph *graph, const clvi_site *site, size_t index,
                             const float *target, bool subtract_shortcut, clvi_calibration *calibration,
                             clv_error *err);

#endif
