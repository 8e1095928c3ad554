/* SPDX-License-Identifier: Apache-2.0 */
/* One group of a convolution as the fits see it: weights in float64, and the regularised second moments.
 *
 * Every fit with data minimises  e(W^) + lambda |W^ - W|^2  =  const - 2 tr(W^ H^T) + tr(W^ S W^T)  with S = cov(x) +
 * lambda I and H = cov(t, x) + lambda W: the ridge of mathematics.md section 1, which shrinks to the original weights,
 * and which makes S positive definite. An input channel whose samples never vary is dead: its columns of H are zero, so
 * fits give it zeros. */
#ifndef CLVI_DECOMPOSE_GROUP_H
#define CLVI_DECOMPOSE_GROUP_H

#include <stddef.h>

#include "base/pool.h"
#include "decompose/form.h"

typedef struct clvi_group {
    size_t n, c, k, q;          /* outputs, inputs, taps, q = c k */
    double *w;                  /* [n, q] the original weights */
    double *s, *h;              /* [q, q], [n, q] regularised; NULL without data */
    double total;               /* the regularised objective at W^ = 0: tr T + lambda |W|^2; without data |W|^2 */
    const clvi_covariance *cov; /* borrowed, NULL without data */
    clvi_pool *pool;
} clvi_group;

/* Group number `group` of conv; cov: that group's statistics or NULL; ridge as in clvi_fit_opts.
 * CLV_ERR_NUMERIC: non-finite weights or statistics. CLV_ERR_ARG: statistics of another shape. Gives *out
 * (clvi_group_free). */
clv_status clvi_group_create(clvi_group *out, const clvi_conv *conv, size_t group, const clvi_covariance *cov,
                             double ridge, clvi_pool *pool, clv_error *err);
void clvi_group_free(clvi_group *g); /* NULL-safe; and resets to empty */

/* What a form keeps of each group in a memo. make: fills in a zeroed item of `bytes`, which it leaves empty when it
 * fails; data: the method fits to the statistics, not to the weights; it may take the group over (and leave an empty
 * one). */
typedef struct clvi_memo_kind {
    size_t bytes;
    clv_status (*make)(void *item, clvi_group *group, bool data, clv_error *err);
    void (*release)(void *item);
} clvi_memo_kind;

/* The memo's item of a group, made when it is first asked for. cov: of all groups, or NULL. */
clv_status clvi_memo_item(void **item, clvi_memo *memo, const clvi_memo_kind *kind, const clvi_conv *conv, size_t group,
                          const clvi_covariance *cov, const clvi_fit_opts *opts, clvi_pool *pool, clv_error *err);

/* W* = H S^-1, the best unstructured replacement. out[n, q]. */
clv_status clvi_group_target(const clvi_group *g, double *out, clv_error *err);

/* Sizes and geometry of a convolution make sense; CLV_ERR_ARG names what does not. */
clv_status clvi_conv_check(const clvi_conv *conv, clv_error *err);

/* A 1x1 link with the groups and rank of the original, without bias; w[o, c / groups] is viewed. */
clvi_conv clvi_link_pointwise(const clvi_conv *original, int64_t o, int64_t c, const float *w);

/* Inner channels of a form that has `size`: opts->size, or when that is 0 what costs no more than depthwise with
 * opts->multiplier, at `per_channel` multiply-adds each. 0: no whole number for each group, or none fits. */
int64_t clvi_fit_size(const clvi_conv *conv, const clvi_fit_opts *opts, int64_t per_channel);

/* Fill fit->error and fit->macs_per_pixel = macs, and the bias of the last link (arena-owned), for a finished chain.
 * cov and context may be NULL. */
clv_status clvi_fit_finish(clvi_fit *fit, const clvi_conv *conv, const clvi_covariance *cov, int64_t macs,
                           clvi_arena *arena, clv_context *context, clv_error *err);

/* e(W^) without its divisor: tr T - 2 tr(W^ H^T) + tr(W^ S W^T) of the true, not the regularised, statistics; and |W -
 * W^|^2 without data. what[n, q]. */
double clvi_group_error(const clvi_group *g, const double *what);

#endif
