/* SPDX-License-Identifier: Apache-2.0 */
/* The joint depthwise fit: all filters of a group at once, by variable projection. */
#ifndef CLVI_DECOMPOSE_DWJOINT_H
#define CLVI_DECOMPOSE_DWJOINT_H

#include <stddef.h>

#include "decompose/dwfit.h"
#include "decompose/lbfgs.h"
#include "decompose/varpro.h"

/* B = blockdiag(D_i) for the solver: theta is d[total, k]. Everything is viewed. */
typedef struct clvi_dw_blocks {
    const clvi_dw *dw; /* for its sizes alone */
    const clvi_dw_space *space;
    clvi_pool *pool;
} clvi_dw_blocks;

clvi_structure clvi_dw_structure(const clvi_dw_blocks *blocks);

/* Minimise the regularised error over the filters of dw (in the space), P eliminated, from where they are. loss[total],
 * may be NULL: after the fit the filters of each channel are turned so that they can be removed one by one, and loss[a]
 * is the exact rise of the error when filter a is removed and all P are refitted. *iterations grows. */
clv_status clvi_dw_joint(clvi_dw *dw, const clvi_dw_space *space, const clvi_lbfgs_opts *opts, double *loss,
                         int *iterations, clv_context *context, clv_error *err);

#endif
