/* SPDX-License-Identifier: Apache-2.0 */
/* The fit behind the bottleneck: W^ = sum_r p_r (q_r (x) d_r)^T, by variable projection over q[r, c] and d[r, k]. */
#ifndef CLVI_DECOMPOSE_CPFIT_H
#define CLVI_DECOMPOSE_CPFIT_H

#include <stddef.h>

#include "decompose/group.h"
#include "decompose/varpro.h"

/* The problem in a space where S is about the identity: x = (Lc (x) Lk) x~, with Lc Lc^T and Lk Lk^T the covariance
 * averaged over taps and over channels. B_r = q_r (x) d_r keeps its form there: q~ = Lc^T q, d~ = Lk^T d. */
typedef struct clvi_cp {
    size_t n, c, k, q, r;
    double *lc, *lk;  /* [c, c], [k, k] */
    double *sht;      /* [q, q + n]: [S | H^T] in the space */
    double *bt;       /* [r, q] scratch: the rows q_r (x) d_r */
    double *residual; /* [n, q] scratch where r > n */
    double *spectrum; /* [terms, c + k] rank-one terms of H in the space, most energy first; NULL: not made yet */
    size_t terms;
    clvi_pool *pool;
} clvi_cp;

/* Metric cov[q, q] and target moments h[n, q], of g's sizes (not viewed later). Gives *out (clvi_cp_free). */
clv_status clvi_cp_create(clvi_cp *out, const clvi_group *g, const double *cov, const double *h, clv_error *err);
clv_status clvi_cp_resize(clvi_cp *cp, size_t r,
                          clv_error *err); /* r terms from now on; the solvers do it themselves */
void clvi_cp_free(clvi_cp *cp);            /* and resets to empty */

/* theta[r, c + k]: row r is q_r then d_r, in the space, of the size it has now. Views cp; one evaluation at a time (bt
 * is scratch). */
clvi_structure clvi_cp_structure(const clvi_cp *cp);

/* r terms, from the spectrum. theta[r, c + k] and pt[r, n] are written. total: as in clvi_varpro_create. *iterations
 * grows. */
clv_status clvi_cp_solve(clvi_cp *cp, size_t r, double total, const clvi_fit_opts *opts, double *theta, double *pt,
                         int *iterations, clv_context *context, clv_error *err);

/* The same from theta0[r0, c + k], in the space, r0 >= r (destroyed): what loses least is removed first. */
clv_status clvi_cp_resume(clvi_cp *cp, size_t r, double total, const clvi_fit_opts *opts, double *theta0, size_t r0,
                          double *theta, double *pt, int *iterations, clv_context *context, clv_error *err);

/* theta[r, c + k] into the space: q~ = Lc^T q, d~ = Lk^T d. */
void clvi_cp_enter(const clvi_cp *cp, double *theta, size_t r);

/* theta out of the space: q = Lc^-T q~, d = Lk^-T d~. */
void clvi_cp_leave(const clvi_cp *cp, double *theta);

#endif
