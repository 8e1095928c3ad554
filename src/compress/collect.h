/* SPDX-License-Identifier: Apache-2.0 */
/* From images to moments: run a network over the calibration set and sample patches and targets at random positions.
 *
 * Positions are drawn from (seed, site, image) alone, so the original and the compressed network are looked at in the
 * same places in any number of passes. What is kept is bounded by the number of samples, not by the number of images.
 */
#ifndef CLVI_COMPRESS_COLLECT_H
#define CLVI_COMPRESS_COLLECT_H

#include "cleave/data.h"
#include "compress/sites.h"
#include "decompose/moments.h"

/* The calibration images, as the collectors need them. All pointers but `bad` are borrowed. */
typedef struct clvi_calibration {
    clv_dataset *data;
    const clv_preprocess *preprocess;
    int64_t images;
    int64_t samples;     /* patches per convolution, at most */
    int64_t batch;       /* images run at once, at most */
    int64_t fixed_batch; /* images that the network insists on in every run; 0: any number */
    clv_tensor input;    /* the network's input at batch 1, no data */
    uint64_t seed;
    bool *bad; /* [images] met as corrupt; filled by the first pass */
    clv_context *context;
} clvi_calibration;

/* CLV_ERR_UNSUP: the graph has several inputs; CLV_ERR_DATA: the images do not fit its input. */
clv_status clvi_calibration_create(clvi_calibration *out, const clvi_graph *graph, clv_dataset *data,
                                   const clv_preprocess *preprocess, clv_context *context, clv_error *err);
void clvi_calibration_free(clvi_calibration *c);

/* What the original network gives at the sampled positions of each site that is split: y, or the block's sum where the
 * site has a shortcut to repair. */
typedef struct clvi_targets {
    size_t n;     /* sites */
    float **rows; /* [n] of [samples, o]; NULL for kept sites */
} clvi_targets;

/* One pass over the images with the original graph. */
clv_status clvi_targets_collect(clvi_targets *out, const clvi_graph *original, const clvi_sites *sites,
                                clvi_calibration *calibration, clv_error *err);
void clvi_targets_free(clvi_targets *t);

/* One pass with `graph`, the original or what it has become so far: the covariances of x at site `index` against its
 * target, less the graph's own shortcut where the site has one. Gives cov[groups] (clvi_covariances_free). */
clv_status clvi_site_covariances(clvi_covariance **out, const clvi_graph *graph, const clvi_sites *sites, size_t index,
                                 const clvi_targets *targets, clvi_calibration *calibration, clv_error *err);
void clvi_covariances_free(clvi_covariance *cov, size_t groups);

#endif
