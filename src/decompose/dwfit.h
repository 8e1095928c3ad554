/* SPDX-License-Identifier: Apache-2.0 */
/* The depthwise factorisation of one group, W_i ~ P_i D_i^T per input channel i, by SVD, GSVD, the paper's
 * inter-channel compensation, and sweeps. The joint fit starts from here (dwjoint.h). */
#ifndef CLVI_DECOMPOSE_DWFIT_H
#define CLVI_DECOMPOSE_DWFIT_H

#include <stddef.h>

#include "decompose/group.h"

typedef struct clvi_dw {
    size_t c, k, n;
    size_t total;  /* filters of all channels */
    size_t *first; /* [c + 1]: filters first[i] .. first[i + 1] - 1 belong to input channel i */
    double *d;     /* [total, k], one filter a row */
    double *pt;    /* [total, n], its column of the pointwise weights */
} clvi_dw;

/* filters[c], each at most min(k, n). Zeroed. Gives *out (clvi_dw_free). */
clv_status clvi_dw_create(clvi_dw *out, const clvi_group *g, const size_t *filters, clv_error *err);
void clvi_dw_free(clvi_dw *dw); /* NULL-safe; and resets to empty */

/* Unit filters, the norm in P, the largest entry of each column of P positive; filters that nothing listens to become
 * zeros; then rounded to float32, as they will be stored, so that errors compared are the errors of the product. */
void clvi_dw_normalise(clvi_dw *dw);

/* what[n, q] = P blockdiag(D)^T. */
void clvi_dw_expand(const clvi_dw *dw, double *what);

/* The space in which every S_ii is the identity: x_i = L_i x~_i, S_ii = L_i L_i^T, so filters become D~ = D L and each
 * channel's generalised SVD becomes a plain one. */
typedef struct clvi_dw_space {
    const clvi_group *g; /* borrowed, with data */
    double *l;           /* [c, k, k], lower triangular */
    double *sht;         /* [q, q + n]: the whitened [S | H^T] */
} clvi_dw_space;

clv_status clvi_dw_space_create(clvi_dw_space *out, const clvi_group *g, clv_error *err);
void clvi_dw_space_free(clvi_dw_space *space);
void clvi_dw_enter(const clvi_dw_space *space, clvi_dw *dw); /* d -> d L */
void clvi_dw_leave(const clvi_dw_space *space, clvi_dw *dw); /* d -> d L^-1 */

/* Best rank-m approximation of each W_i in the Frobenius norm. Not in the space. */
clv_status clvi_dw_svd(clvi_dw *dw, const clvi_group *g, clv_error *err);

/* The following work in the space. */

/* Best rank-m approximation of each W*_i in its own metric S_ii; target[n, q] = W* (clvi_group_target). */
clv_status clvi_dw_gsvd(clvi_dw *dw, const clvi_dw_space *space, const double *target, clv_error *err);

/* One pass over the channels, each fitted to its own part plus what those already done have left over, those not
 * yet visited exact: N_i = H_i - sum_{j<i} P_j D_j^T S_ji - sum_{j>i} W_j S_ji. */
clv_status clvi_dw_inter_channel(clvi_dw *dw, const clvi_dw_space *space, clv_error *err);

/* Repeat exact block minimisation over the channels from dw until a sweep lowers the error by less than `tolerance`
 * relatively, at most max_sweeps. The regularised error never rises. */
clv_status clvi_dw_sweeps(clvi_dw *dw, const clvi_dw_space *space, int max_sweeps, double tolerance,
                          clv_context *context, clv_error *err);

#endif
