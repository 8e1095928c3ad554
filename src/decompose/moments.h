/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming second moments of (patch x, target t): all that a fit needs to know of the images.
 *
 * For one group of one convolution, x in R^q (q = c/groups * kh * kw, columns grouped by input channel, as a row of the
 * weight matrix), t in R^n (n = o/groups). Sums are kept about a fixed shift (the mean of the first block), in float64,
 * so that nothing cancels; shards with the same shift add up exactly. */
#ifndef CLVI_DECOMPOSE_MOMENTS_H
#define CLVI_DECOMPOSE_MOMENTS_H

#include <stddef.h>

#include "base/context.h"
#include "base/status.h"

typedef struct clvi_moments {
    size_t q, n;
    double count;    /* samples */
    double *shift_x; /* [q] */
    double *shift_t; /* [n] */
    double *sum_x;   /* [q] of x - shift */
    double *sum_t;   /* [n] */
    double *xx;      /* [q, q] sum (x-s)(x-s)^T, both triangles */
    double *tx;      /* [n, q] */
    double *tt;      /* [n] diagonal of sum (t-s)(t-s)^T is enough for errors; full [n, n] for channel decomposition */
    double *tt_full; /* [n, n] */
} clvi_moments;

clv_status clvi_moments_create(clvi_moments *out, size_t q, size_t n, clv_error *err);
void clvi_moments_free(clvi_moments *m);

/* Add `samples` rows: x[samples, q], t[samples, n], float32 row-major. A NaN or Inf is CLV_ERR_NUMERIC. Same bits for
 * any number of threads of the pool (may be NULL). */
clv_status clvi_moments_add(clvi_moments *m, size_t samples, const float *x, const float *t, clvi_pool *pool,
                            clv_error *err);

/* a += b; b is re-based onto a's shift. */
clv_status clvi_moments_merge(clvi_moments *a, const clvi_moments *b, clv_error *err);

/* Centred covariances, what the solvers read. */
typedef struct clvi_covariance {
    size_t q, n;
    double *s;      /* [q, q] cov(x) */
    double *h;      /* [n, q] cov(t, x) */
    double *t;      /* [n, n] cov(t) */
    double *mean_x; /* [q] */
    double *mean_t; /* [n] */
} clvi_covariance;

clv_status clvi_covariance_of(clvi_covariance *out, const clvi_moments *m, clv_error *err);
void clvi_covariance_free(clvi_covariance *c);

#endif
