/* SPDX-License-Identifier: Apache-2.0 */
/* Factorisations of row-major float64 matrices by LAPACK, with fixed order and signs.
 *
 * Inputs are scanned: a NaN or Inf is CLV_ERR_NUMERIC, and so is a factorisation that LAPACK gives up.
 * CLV_ERR_NOMEM: workspace. Same bits for any number of threads. Reentrant. */
#ifndef CLVI_LINALG_FACTOR_H
#define CLVI_LINALG_FACTOR_H

#include <stddef.h>

#include "base/pool.h"
#include "base/status.h"

/* a[n, n] symmetric positive definite, lower triangle read -> L in the lower triangle, a = L L^T; the upper triangle is
 * left as it was. CLV_ERR_NUMERIC: not positive definite. LAPACK dpotrf. */
clv_status clvi_cholesky(double *a, size_t n, size_t ld, clv_error *err);

/* The same for a matrix that is large enough to be shared by threads: LAPACK on its diagonal, the rest by products. */
clv_status clvi_cholesky_shared(clvi_pool *pool, double *a, size_t n, size_t ld, clv_error *err);

/* a[n, n] symmetric positive definite, lower triangle read -> its inverse in the lower triangle; what is left above is
 * of no use. n^3 / 2 multiply-adds, and n^2 numbers of scratch. CLV_ERR_NUMERIC: not positive definite. Same bits for
 * any pool. */
clv_status clvi_inverse_spd(clvi_pool *pool, double *a, size_t n, clv_error *err);

/* a[n, n] symmetric, both triangles given -> its rows become the unit eigenvectors, the largest-magnitude entry of each
 * positive; values[n] descending. a = V^T diag(values) V. LAPACK dsyev. */
clv_status clvi_eigh(double *a, double *values, size_t n, clv_error *err);

/* a[m, n] (destroyed) = u[m, r] diag(s[r]) vt[r, n], r = min(m, n), s descending, the largest-magnitude entry of each
 * column of u positive. All dense. LAPACK dgesdd. */
clv_status clvi_svd(double *a, size_t m, size_t n, double *u, double *s, double *vt, clv_error *err);

/* Generalised SVD of w[m, n] in the metric g[n, n] (symmetric positive definite):
 *   w = u diag(s) v,   u^T u = I,   v g v^T = I,   u[m, r], v[r, n], r = min(m, n), s descending.
 * The first k terms minimise tr (w - w') g (w - w')^T over all w' of rank k. Nothing is overwritten.
 * By g = L L^T and the SVD of w L. */
clv_status clvi_gsvd(const double *w, const double *g, size_t m, size_t n, double *u, double *s, double *v,
                     clv_error *err);

#endif
