/* SPDX-License-Identifier: Apache-2.0 */
/* Variable projection: the solver that all structured forms share.
 *
 *   minimise over B of the form's structure, and over all P:   tr (W* - P B^T) S (W* - P B^T)^T
 *
 * For a given B[q, m] the best P[n, m] is H B G^-1 with G = B^T S B and H = W* S, so P is eliminated and what is left
 * is f(B) = const - tr(H B G^-1 B^T H^T),      grad_B f = -2 (H^T P - S B P^T P)   restricted to B's structure (Golub
 * and Pereyra 1973; the envelope theorem makes the derivative of P drop out). Everything is kept transposed, one row
 * per column of B, because B's columns are what a form builds. */
#ifndef CLVI_DECOMPOSE_VARPRO_H
#define CLVI_DECOMPOSE_VARPRO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/context.h"
#include "base/pool.h"
#include "base/status.h"
#include "decompose/form.h"
#include "decompose/lbfgs.h"

/* What a structured B can do. `self` is the form's own data. */
typedef struct clvi_structure {
    const void *self;
    size_t params; /* length of theta */
    /* sbct[m, q + n] = B(theta)^T [S | H^T],  g[m, m] = B^T S B, lower triangle at least */
    void (*project)(const void *self, const double *theta, double *sbct, double *g);
    /* grad[params] = derivative of f, from pt[m, n] = P^T, ptp[m, m] = P^T P, and sbct as projected at theta */
    void (*pull)(const void *self, const double *theta, const double *pt, const double *ptp, const double *sbct,
                 double *grad);
} clvi_structure;

typedef struct clvi_varpro clvi_varpro;

/* total: f at P = 0, to which f is relative (tr W* S W*^T, or the target's energy). Views structure, which must outlive
 * it. Gives *out (clvi_varpro_free). */
clv_status clvi_varpro_create(clvi_varpro **out, const clvi_structure *structure, size_t m, size_t q, size_t n,
                              double total, clvi_pool *pool, clv_error *err);
void clvi_varpro_free(clvi_varpro *v); /* NULL-safe */

/* Only P of at most this rank, 1 or more (reduced-rank regression: still in closed form, by the leading right singular
 * vectors of L^-1 B^T H^T, G = L L^T). Call it once, before the first evaluation. */
clv_status clvi_varpro_limit_rank(clvi_varpro *v, size_t rank, clv_error *err);

/* The solver's options for such a problem: it stops where float32 weights could not show the difference, or progress
 * falls below opts->tolerance. */
clvi_lbfgs_opts clvi_varpro_opts(const clvi_fit_opts *opts);

/* f(theta) / total, with gradient: a clvi_objective whose arg is the clvi_varpro. HUGE_VAL when G is singular. */
double clvi_varpro_evaluate(void *varpro, const double *theta, double *grad);

/* Minimise from theta by L-BFGS: opts->max_iterations at most. f of the result is relative to total. context may be
 * NULL. */
clv_status clvi_varpro_minimise(clvi_varpro *v, double *theta, const clvi_lbfgs_opts *opts, clvi_lbfgs_result *result,
                                clv_context *context, clv_error *err);

/* CLV_OK, or why an evaluation failed when that was not a singular G (an eigenproblem without memory). */
clv_status clvi_varpro_failed(const clvi_varpro *v, clv_error *err);

/* P^T at theta (evaluates there). Views, until the next call. NULL when that failed. */
const double *clvi_varpro_solve(clvi_varpro *v, const double *theta);

/* Which `keep` of the m filters to keep when the others are removed one by one, at theta: each time the one whose
 * removal, with all of P refitted, loses least: |P_a|^2 / (G^-1)_aa. kept[m] is written. Not for a limited rank. */
clv_status clvi_varpro_reduce(clvi_varpro *v, const double *theta, size_t keep, bool *kept, clv_error *err);

/* The Cholesky factor of G of the last evaluation, lower triangle [m, m]. Views. */
const double *clvi_varpro_factor(const clvi_varpro *v);

/* P^T P of the last evaluation that gave a gradient, [m, m]. Views. */
const double *clvi_varpro_weights(const clvi_varpro *v);

double clvi_varpro_total(const clvi_varpro *v); /* what f is relative to */

#endif
