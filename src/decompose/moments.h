/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming second moments of (patch x, target t): all that a fit needs to know of the images.
 *
 * For one group of one convolution, x in R^q (q = c/groups * kh * kw, columns grouped by input channel, as a row of the
 * weight matrix), t in R^n (n = o/groups). Sums are kept about a fixed shift (the mean of the first CLVI_MOMENTS_BLOCK
 * samples), in float64, so that nothing cancels; shards with the same shift add up exactly. Samples are gathered
 * into blocks of fixed size before they are summed, so the result does not depend on how they were cut into calls. */
#ifndef CLVI_DECOMPOSE_MOMENTS_H
#define CLVI_DECOMPOSE_MOMENTS_H

#include <stddef.h>

#include "base/context.h"
#include "base/status.h"

#define CLVI_MOMENTS_BLOCK ((size_t)256)

typedef struct clvi_moments {
    size_t q, n;
    double count;    /* samples in the sums; those that wait are not counted yet */
    double *shift_x; /* [q] */
    double *shift_t; /* [n] */
    double *sum_x;   /* [q] of x - shift */
    double *sum_t;   /* [n] */
    double *xx;      /* [q, q] sum (x-s)(x-s)^T, lower triangle, the upper one is zero */
    double *tx;      /* [n, q] */
    double *tt;      /* [n] diagonal of sum (t-s)(t-s)^T is enough for errors; full [n, n] for channel decomposition */
    double *tt_full; /* [n, n], lower triangle */
    size_t waiting;  /* samples that do not fill a block yet, 0 <= waiting < CLVI_MOMENTS_BLOCK */
    float *wait_x;   /* [CLVI_MOMENTS_BLOCK, q] */
    float *wait_t;   /* [CLVI_MOMENTS_BLOCK, n] */
    double *work;    /* a block less the shift, float64 */
    clvi_pool *pool; /* borrowed, may be set after create: large sums are shared out over it; same bits without */
} clvi_moments;

/* Bytes are about 8 q^2. CLV_ERR_ARG: q or n is 0 or their squares overflow. Gives *out (clvi_moments_free). */
clv_status clvi_moments_create(clvi_moments *out, size_t q, size_t n, clv_error *err);
void clvi_moments_free(clvi_moments *m); /* NULL-safe; and resets to empty */

/* Add `samples` rows: x[samples, q], t[samples, n], float32 row-major. A NaN or Inf is CLV_ERR_NUMERIC and nothing
 * is added. */
clv_status clvi_moments_add(clvi_moments *m, size_t samples, const float *x, const float *t, clv_error *err);

/* Put waiting samples into the sums now (for a checkpoint: sums and shifts then hold everything). */
void clvi_moments_flush(clvi_moments *m);

/* a += b; b is re-based onto a's shift. CLV_ERR_ARG: sizes differ. */
clv_status clvi_moments_merge(clvi_moments *a, const clvi_moments *b, clv_error *err);

/* Centred covariances (divided by the count), what the solvers read. */
typedef struct clvi_covariance {
    size_t q, n;
    double *s;      /* [q, q] cov(x) */
    double *h;      /* [n, q] cov(t, x) */
    double *t;      /* [n, n] cov(t) */
    double *mean_x; /* [q] */
    double *mean_t; /* [n] */
} clvi_covariance;

/* Waiting samples are included, m is left as it is. CLV_ERR_ARG: no sample. Gives *out (clvi_covariance_free). */
clv_status clvi_covariance_of(clvi_covariance *out, const clvi_moments *m, clv_error *err);
void clvi_covariance_free(clvi_covariance *c); /* NULL-safe; and resets to empty */

#endif
