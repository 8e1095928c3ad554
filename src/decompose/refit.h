/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting through the non-linearity: an already fitted convolution is fitted again and again to targets that let go of
 * what the activation hides (activation.h), from a reservoir of sampled patches, since sums alone do not show which
 * samples are hidden.
 *
 *   round:  z = W^ x + b + shortcut,   t = target(y, z) - shortcut,   H = cov(t, x),   fit to (S, H)
 *
 * The statistics of x never change. What is judged, and kept, is the true loss
 *   sum (f(y) - f(z))^2 / sum (f(y) - mean f(y))^2     over the reservoir, all channels together.
 *
 * One pass over the reservoir a round costs rows * 2 n q multiply-adds and gives the loss of one chain together with
 * the H of the next fit. Memory: blocks, H, and (rounds of the last link) one float for each row and inner channel. */
#ifndef CLVI_DECOMPOSE_REFIT_H
#define CLVI_DECOMPOSE_REFIT_H

#include "decompose/activation.h"
#include "decompose/form.h"

/* Sampled output positions of one convolution. All borrowed. */
typedef struct clvi_reservoir {
    size_t rows;           /* 2 or more */
    const float *const *x; /* [groups] of [rows, q]: the patch that the compressed network sees */
    const float *y;        /* [rows, o]: the wanted pre-activation, the original's; with a shortcut, of the whole sum */
    const float *shortcut; /* [rows, o]: what the compressed network's shortcut adds; NULL: nothing */
} clvi_reservoir;

typedef enum clvi_refit_method {
    CLVI_REFIT_MAJORISE = 0,  /* convex bound, nothing to tune; monotone in the sum of phi */
    CLVI_REFIT_ALTERNATE = 1, /* Zhang et al. (TPAMI 2016): auxiliary z under a penalty lambda, 0.01 then 1 */
} clvi_refit_method;

typedef struct clvi_refit_opts {
    clvi_refit_method method;
    int rounds;      /* majorise: fits at most, default 6; alternate: fits for each of the two lambdas, e.g. 25 */
    int last_rounds; /* majorise: before each fit, rounds in which the last link alone is solved; default 0: they lower
                        the loss, not the accuracy (docs/perf.md) */
    double stop;     /* majorise: end when a round gains less than this share of the loss, default 0.005 */
} clvi_refit_opts;

clvi_refit_opts clvi_refit_opts_default(void);

/* What to refit. All borrowed. */
typedef struct clvi_refit_task {
    const clvi_conv *conv;
    const clvi_form *form;
    const clvi_fit_opts *fit_opts; /* as for the first fit; `start` is set by the rounds */
    const clvi_fit *start;         /* an earlier fit of this form and these options */
    const clvi_reservoir *reservoir;
    const clvi_activation *activation;
    const clvi_covariance *cov; /* [groups], of the reservoir's own patches (S and mean_x are read, whatever the
                                   target was), or NULL: collected here, rows * q^2 / 2 multiply-adds a group */
} clvi_refit_task;

typedef struct clvi_refit_result {
    clvi_fit fit; /* the best chain met, the start among them; weights in the caller's arena. fit.error is `after` */
    double before, after; /* true loss, relative; after <= before */
    int rounds;           /* fits made */
} clvi_refit_result;

/* CLV_ERR_ARG: shapes or options that make no sense, a chain that is not this convolution's; CLV_ERR_NUMERIC: a NaN or
 * Inf; CLV_ERR_INTERRUPTED. context may be NULL. Same bits for any number of threads. Reentrant. */
clv_status clvi_refit(clvi_refit_result *out, const clvi_refit_task *task, const clvi_refit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err);

#endif
