/* SPDX-License-Identifier: Apache-2.0 */
/* One walk through the original network: the second moments of every convolution's patches and outputs. */
#ifndef CLVI_COMPRESS_SURVEY_H
#define CLVI_COMPRESS_SURVEY_H

#include "compress/calibration.h"
#include "decompose/averaged.h"
#include "decompose/moments.h"

/* The moments of some sites, in their order. */
typedef struct clvi_survey_part {
    const size_t *site;            /* [n] indices */
    clvi_moments **moments;        /* [n] of [groups] each, everything flushed */
    const clvi_averaged *averaged; /* [n] */
    const double *share; /* [n] of the variance of the block's sum, what the convolution's output has; 1: no sum */
    size_t n;
} clvi_survey_part;

/* Called for as many sites at a time as fit into the memory; all parts together hold every site that is not kept, once
 * and in order. The moments are gone when it returns. */
typedef clv_status (*clvi_survey_take)(void *user, const clvi_survey_part *part, clv_error *err);

/* memory: bytes for moments at a time; one site is always taken. */
clv_status clvi_survey(const clvi_graph *original, const clvi_sites *sites, clvi_calibration *calibration,
                       size_t memory, clvi_survey_take take, void *user, clv_error *err);

/* Moments for all groups of a site, empty: [groups] (clvi_site_moments_free), and the bytes that they take. */
clv_status clvi_site_moments_create(clvi_moments **out, const clvi_site *site, clv_error *err);
void clvi_site_moments_free(clvi_moments *moments, const clvi_site *site); /* NULL-safe */
size_t clvi_site_moments_bytes(const clvi_site *site);

/* Covariances of all groups: [groups] (clvi_covariances_free). */
clv_status clvi_covariances_of(clvi_covariance **out, const clvi_moments *moments, size_t groups, clv_error *err);
void clvi_covariances_free(clvi_covariance *cov, size_t groups); /* NULL-safe */

#endif
