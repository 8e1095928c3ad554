/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a reservoir: the loss of a linear map, and the moments of the target it leads to. */
#ifndef CLVI_DECOMPOSE_REFIT_PASS_H
#define CLVI_DECOMPOSE_REFIT_PASS_H

#include "base/pool.h"
#include "decompose/activation.h"

/* The map z = w x + bias + shortcut of one group, and how its target is made. All borrowed. */
typedef struct clvi_pass {
    size_t rows, q, n, ld;   /* ld: of y and shortcut */
    const float *x;          /* [rows, q] */
    const float *y;          /* [rows, ld], this group's first column */
    const float *shortcut;   /* [rows, ld] or NULL */
    const double *mean_x;    /* [q] */
    const double *w;         /* [n, q] */
    const double *bias;      /* [n] */
    const clvi_piece *piece; /* [n] */
    double lambda;           /* 0: the majoriser's target; above: the alternating solver's auxiliary z */
} clvi_pass;

typedef struct clvi_pass_sums {
    double loss;    /* sum (f(y) - f(z))^2 */
    double bound;   /* sum phi(y, z) */
    double *h;      /* [n, q] cov(t, x), t the target less the shortcut */
    double *mean_t; /* [n] */
    double *var_t;  /* [n] */
} clvi_pass_sums;

/* Writes all of *sums (arrays by the caller). CLV_ERR_NUMERIC: a sample is not finite. Float64 throughout; rows are cut
 * into parts by size alone and the parts are added in order. Reentrant. */
clv_status clvi_pass_run(clvi_pass_sums *sums, const clvi_pass *pass, clvi_pool *pool, clv_error *err);

#endif
