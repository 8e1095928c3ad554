/* SPDX-License-Identifier: Apache-2.0 */
/* Linear least squares from second moments. */
#ifndef CLVI_LINALG_REGRESS_H
#define CLVI_LINALG_REGRESS_H

#include <stddef.h>

#include "base/pool.h"
#include "base/status.h"

/* x[m, n] = b[m, n] a^-1 for a[n, n] symmetric positive definite: x is given as b and overwritten, a becomes its
 * Cholesky factor. CLV_ERR_NUMERIC: a is not positive definite, or something is not finite. Reentrant; same bits for
 * any pool. */
clv_status clvi_solve_spd(clvi_pool *pool, double *a, size_t n, double *x, size_t m, clv_error *err);

/* Ridge regression that shrinks to a prior instead of to zero:
 *   argmin_x  tr x s x^T - 2 tr x h^T + lambda |x - w|^2  =  (h + lambda w) (s + lambda I)^-1
 * s[n, n], h[m, n], w[m, n] borrowed; out[m, n] written. lambda > 0, or s positive definite.
 * CLV_ERR_NUMERIC, CLV_ERR_NOMEM. Reentrant; same bits for any pool. */
typedef struct clvi_ridge {
    const double *s, *h, *w;
    size_t m, n;
    double lambda;
} clvi_ridge;

clv_status clvi_ridge_solve(clvi_pool *pool, const clvi_ridge *problem, double *out, clv_error *err);

#endif
