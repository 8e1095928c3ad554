/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds that solve the last link alone. With B all links but the last, s = B^T x is fixed, so
 *
 *   P = (cov(t, s) + lambda W B) (cov(s) + lambda B^T B)^-1,   b = mean(t) - P mean(s)
 *
 * is the exact minimiser over the last link (lambda the ridge of group.h), and a pass costs rows * 2 n m multiply-adds
 * instead of rows * 2 n q. */
#ifndef CLVI_DECOMPOSE_REFIT_LAST_H
#define CLVI_DECOMPOSE_REFIT_LAST_H

#include <stdbool.h>

#include "decompose/refit.h"

/* The last link is 1x1 over plain channels, in the groups of the original. */
bool clvi_last_fits(const clvi_chain *chain, const clvi_conv *conv);

typedef struct clvi_last_task {
    const clvi_conv *conv;
    const clvi_reservoir *reservoir;
    const clvi_covariance *cov; /* [groups]: S and mean_x are read */
    const clvi_piece *piece;    /* [o] */
    double ridge;               /* as in clvi_fit_opts */
    int rounds;
    double stop; /* end when a round gains less than this share of the loss */
} clvi_last_task;

/* Improve the last link of *chain; its weights and bias are replaced by new ones in arena. clvi_last_fits must hold. */
clv_status clvi_last_improve(clvi_chain *chain, const clvi_last_task *task, clvi_arena *arena, clvi_pool *pool,
                             clv_error *err);

#endif
