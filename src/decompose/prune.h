/* SPDX-License-Identifier: Apache-2.0 */
/* Backward elimination of input channels by the exact loss of removing each one.
 *
 * With A = S^-1 and W = H A the regression onto the channels still kept, taking out channel i (its K columns B) and
 * refitting the others raises the objective of group.h by exactly  tr W_B (A_BB)^-1 W_B^T,  after which
 *
 *   W <- W - W_B (A_BB)^-1 A_B:      A <- A - A_:B (A_BB)^-1 A_B:      (rows and columns of B then are zero)
 *
 * The cheapest channel goes, the lowest index of equals; one pass gives the curve over all sizes. Greedy: neither a
 * later size nor the last is claimed to be the best subset. Without data S = I: the loss is |W_i|^2. */
#ifndef CLVI_DECOMPOSE_PRUNE_H
#define CLVI_DECOMPOSE_PRUNE_H

#include "decompose/group.h"

/* Take out channels until `keep` (0 <= keep <= c) are left. removed[c - keep]: in the order they went;
 * objective[c - keep]: the regularised objective (clvi_group.total at W^ = 0) of the best fit after each removal.
 * data: by the group's moments, else by its weights alone. CLV_ERR_NUMERIC, CLV_ERR_NOMEM. O(q^3) for keep = 0. Same
 * bits for any number of threads. Reentrant. */
clv_status clvi_prune_order(const clvi_group *g, bool data, size_t keep, size_t *removed, double *objective,
                            clv_error *err);

#endif
