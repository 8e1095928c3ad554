/* SPDX-License-Identifier: Apache-2.0 */
/* The whole curve of error against size of one form at one convolution, for a search. In nested forms the largest size
 * is fitted first, and each smaller one starts from what is left of the next larger one when what loses least is
 * removed. What is left of a bottleneck is no better a start than its spectrum (docs/perf.md): each size has its own.
 */
#ifndef CLVI_DECOMPOSE_CURVE_H
#define CLVI_DECOMPOSE_CURVE_H

#include "decompose/form.h"

typedef struct clvi_curve_job {
    const clvi_form *form;
    const clvi_conv *conv;
    const clvi_covariance *cov; /* [groups] */
    clvi_fit_opts fit;   /* method, ridge, seed, uneven (depthwise: what its sizes mean then); the sizes, start and
                            limits of iterations in it are not read */
    const double *sizes; /* [n] ascending: the multiplier for depthwise, `size` for the other forms */
    size_t n;
    int iterations; /* of L-BFGS at each size; 0: what the form needs (clvi_form.curve_iterations) */
} clvi_curve_job;

clvi_curve_job clvi_curve_job_default(void);

typedef struct clvi_curve_point {
    clvi_fit_opts fit; /* that asks for this point again; its start is the chain found */
    double error;      /* never above that of a smaller size */
    int64_t macs_per_pixel, parameters;
    int iterations;
} clvi_curve_point;

/* points[job->n]. A larger size that came out with a larger error is given as the smaller one. Chains (fit.start) live
 * in arena. May be called from inside a task of the context's pool; same bits for any number of threads.
 * CLV_ERR_ARG: no sizes, not ascending, or one that the form refuses for this convolution. */
clv_status clvi_curve(clvi_curve_point *points, const clvi_curve_job *job, clvi_arena *arena, clv_context *context,
                      clv_error *err);

#endif
