/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy rank selection (Zhang, Zou, He and Sun, TPAMI 2016, section 2.4): the reference that clvi_choose is compared
 * with.
 *
 *   maximise  prod_l  sum_{a <= r_l} e_{l,a}    subject to   sum_l r_l cost_l <= budget,   1 <= r_l <= n_l
 *
 * e_{l,1} >= e_{l,2} >= ... are the eigenvalues of the covariance of layer l's responses, and cost_l what one inner
 * channel costs. From full ranks, again and again the layer gives up its last channel that loses the least share of its
 * energy for its cost:   min over l of   (e_{l,r} / sum_{a <= r} e_{l,a}) / cost_l. */
#ifndef CLVI_SEARCH_GREEDY_RANK_H
#define CLVI_SEARCH_GREEDY_RANK_H

#include <stddef.h>

#include "base/status.h"

typedef struct clvi_rank_layer {
    const double *energy; /* [n] >= 0, descending; borrowed */
    size_t n;             /* 1 or more */
    double cost;          /* of one rank, > 0, the unit of the budget */
} clvi_rank_layer;

/* rank[layers] and the sum of costs. Ties go to the earlier layer. O(sum n * layers). CLV_ERR_BUDGET when rank 1
 * everywhere costs more: rank then holds 1s, and *cost their sum. CLV_ERR_ARG: a layer without ranks, a cost that is
 * not positive, energies that are negative, not finite or ascending. CLV_ERR_NOMEM. Reentrant. */
clv_status clvi_greedy_rank(size_t *rank, double *cost, const clvi_rank_layer *layers, size_t n, double budget,
                            clv_error *err);

#endif
