/* SPDX-License-Identifier: Apache-2.0 */
/* Limited-memory BFGS in float64 with a strong-Wolfe line search (Nocedal and Wright 2006, algorithms 7.4, 3.5
 * and 3.6). */
#ifndef CLVI_DECOMPOSE_LBFGS_H
#define CLVI_DECOMPOSE_LBFGS_H

#include <stddef.h>

#include "base/context.h"
#include "base/status.h"

/* f(x) and its gradient; HUGE_VAL where f is not defined (the line search then steps back; grad is not read). */
typedef double (*clvi_objective)(void *arg, const double *x, double *grad);

/* A guess M of the curvature at the point evaluated last: out[n] = M^-1 v, symmetric and positive definite. It stands
 * where plain L-BFGS has a multiple of the identity, and may be another one at each iteration. */
typedef struct clvi_curvature {
    void (*update)(void *arg, const double *x);
    void (*divide)(void *arg, double *v);
    void *arg;
} clvi_curvature;

typedef struct clvi_lbfgs_opts {
    int max_iterations;              /* 200 */
    int memory;                      /* pairs kept, 12 */
    double f_tolerance;              /* stop when five iterations together lower f by less than this times |f|, 1e-6 */
    double f_target;                 /* stop at or below this, -HUGE_VAL */
    double g_tolerance;              /* stop when the largest gradient entry is below this, 1e-12 */
    const clvi_curvature *curvature; /* NULL: none */
} clvi_lbfgs_opts;

clvi_lbfgs_opts clvi_lbfgs_opts_default(void);

typedef struct clvi_lbfgs_result {
    double f;
    int iterations, evaluations;
} clvi_lbfgs_result;

/* Minimise from x[n]; x becomes the best point met and f never rises above the start. context may be NULL; its
 * cancellation is looked at between iterations (CLV_ERR_INTERRUPTED, x as far as it came). CLV_ERR_NUMERIC: f or the
 * gradient is not finite at the start. Not converging within max_iterations is no error. Reentrant. */
clv_status clvi_lbfgs(double *x, size_t n, clvi_objective objective, void *arg, const clvi_lbfgs_opts *opts,
                      clvi_lbfgs_result *result, clv_context *context, clv_error *err);

#endif
