/* SPDX-License-Identifier: Apache-2.0 */
/* How many filters each input channel gets when they need not be equal. */
#ifndef CLVI_DECOMPOSE_DWUNEVEN_H
#define CLVI_DECOMPOSE_DWUNEVEN_H

#include <stdbool.h>
#include <stddef.h>

#include "decompose/dwfit.h"
#include "decompose/lbfgs.h"

/* filters[c], `total` in all, by the largest singular values over all channels of w[n, q]: of W_i, or with a space of
 * W_i L_i. At most min(k, n) each; total at most c times that. */
clv_status clvi_dw_allocate(size_t *filters, const clvi_group *g, const double *w, const clvi_dw_space *space,
                            size_t total, clv_error *err);

/* Keep `total` of dw's filters (in the space), those whose removal loses most with all P refitted; even: the same
 * number of each channel, which total is a multiple of. dw as it is when it has them already. */
clv_status clvi_dw_reduce(clvi_dw *dw, const clvi_dw_space *space, size_t total, bool even, clv_context *context,
                          clv_error *err);

/* The joint fit of `total` filters that finds its own allocation: fit some 2.5 times as many, remove those whose loss
 * is least, refit, in ROUNDS rounds. start (in the space, may have more than `total` filters, takes) is replaced by the
 * result. */
clv_status clvi_dw_prune(clvi_dw *start, const clvi_dw_space *space, size_t total, const clvi_lbfgs_opts *opts,
                         int *iterations, clv_context *context, clv_error *err);

#endif
