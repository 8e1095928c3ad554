/* SPDX-License-Identifier: Apache-2.0 */
/* What one convolution is fitted to: sampled patches as the network gives them, and what should come out. */
#ifndef CLVI_COMPRESS_SITE_ROWS_H
#define CLVI_COMPRESS_SITE_ROWS_H

#include "compress/front.h"
#include "decompose/moments.h"

typedef struct clvi_site_rows {
    size_t rows;     /* of images that are not corrupt */
    size_t groups;   /* of the convolution */
    size_t q, o;     /* patch size of a group; outputs of all groups */
    float **x;       /* [groups] of [rows, q] */
    float *y;        /* [rows, o] wanted: what the original gives, or the sum of its block where `shortcut` is given */
    float *shortcut; /* [rows, o] what the network as it is adds to the convolution; NULL: nothing */
} clvi_site_rows;

/* Where the rows come from. */
typedef struct clvi_rows_source {
    const clvi_graph *original, *graph; /* graph: as compressed so far */
    clvi_front *original_front, *front; /* both move up to the site */
    const clvi_sites *sites;
    clvi_calibration *calibration;
    size_t memory;  /* bytes: fewer rows are sampled where they would not fit */
    bool symmetric; /* patches from the original network, too; then no shortcut */
} clvi_rows_source;

/* All rows of site `index`. Gives *out (clvi_site_rows_free). */
clv_status clvi_site_rows_fill(clvi_site_rows *out, const clvi_rows_source *source, size_t index, clv_error *err);
void clvi_site_rows_free(clvi_site_rows *r); /* an empty one is fine */

/* Second moments of the rows, against y less the shortcut: cov[groups] (clvi_covariances_free, survey.h). */
clv_status clvi_site_rows_covariances(clvi_covariance **out, const clvi_site_rows *r, clvi_pool *pool, clv_error *err);

#endif
