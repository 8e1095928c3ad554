/* SPDX-License-Identifier: Apache-2.0 */
/* The calibration images, and where in them a convolution is sampled.
 *
 * Positions are drawn from (seed, site, image) alone, so the original and the compressed network are looked at in the
 * same places in any number of passes, and shards of a set draw what the whole set would. */
#ifndef CLVI_COMPRESS_CALIBRATION_H
#define CLVI_COMPRESS_CALIBRATION_H

#include "base/rng.h"
#include "base/spill.h"
#include "cleave/data.h"
#include "compress/sites.h"

/* All pointers but `bad` and `pixels` are borrowed. */
typedef struct clvi_calibration {
    clv_dataset *data;
    const clv_preprocess *preprocess;
    int64_t images;     /* of the whole set; positions are planned for all of them */
    int64_t first, end; /* those that are read here: a shard, or all */
    int64_t offset,
        spread;          /* image i is number offset + floor(i spread / images) of the data set; spread 0: number i */
    int64_t samples;     /* patches per convolution, at most, over the whole set */
    int64_t batch;       /* images run at once, at most */
    int64_t fixed_batch; /* images that the network insists on in every run; 0: any number */
    clv_tensor input;    /* the network's input at batch 1, no data */
    uint64_t seed;
    bool *bad;          /* [images] met as corrupt; filled by the first pass */
    clvi_room room;     /* memory for what is kept between passes */
    clvi_spill *pixels; /* the images once decoded, when they fit into the room; else NULL */
    int64_t decoded;    /* images [first, decoded) are in `pixels` */
    double inference;   /* seconds spent running networks */
    clv_context *context;
} clvi_calibration;

/* memory: bytes that may be kept between passes; more goes to a temporary file. shard number `shard` of `shards`.
 * CLV_ERR_UNSUP: the graph has several inputs; CLV_ERR_DATA: the images do not fit its input. */
clv_status clvi_calibration_create(clvi_calibration *out, const clvi_graph *graph, clv_dataset *data,
                                   const clv_preprocess *preprocess, size_t memory, int64_t shard, int64_t shards,
                                   clv_context *context, clv_error *err);
void clvi_calibration_free(clvi_calibration *c);

/* Images [first, first + n) into to[n, c, h, w]; each is decoded once where there is room to keep it. */
clv_status clvi_calibration_read(clvi_calibration *c, int64_t first, int64_t n, float *to, clv_error *err);

/* A site of p output pixels takes S = min(samples, images * p) patches; image i holds rows floor(i S / images) up to
 * floor((i + 1) S / images), one in each of as many equal strips of its pixels. */
typedef struct clvi_places {
    int64_t images, pixels, rows;
    uint64_t seed, site;
} clvi_places;

/* index: of the site among all. samples: at most so many, or fewer where the calibration says so. */
clvi_places clvi_places_of(const clvi_calibration *c, const clvi_site *site, size_t index, int64_t samples);
int64_t clvi_places_first_row(const clvi_places *p, int64_t image);

/* The rows of the images that are read here: clvi_places_first_row(end) - clvi_places_first_row(first). */
int64_t clvi_places_rows_here(const clvi_places *p, const clvi_calibration *c);

/* Start the stream of image's positions, then draw the j-th of `count` in order. */
void clvi_places_start(const clvi_places *p, clvi_rng *rng, int64_t image);
int64_t clvi_places_next(const clvi_places *p, clvi_rng *rng, int64_t j, int64_t count);

#endif
