/* SPDX-License-Identifier: Apache-2.0 */
/* The fit behind the forms whose first link is dense and shared: W^ = P (I_p (x) V), by variable projection over V[r,
 * d].
 *
 * The taps of a kernel are cut in two: t = y p + x. The first link V sees the inputs and the y, d = c k / p; it is used
 * again at each of the p values of x, and P[n, p r] weighs what it gives there. p = kw is a vertical filter before a
 * horizontal one, p = k a pointwise layer before a whole kernel. */
#ifndef CLVI_DECOMPOSE_KRONFIT_H
#define CLVI_DECOMPOSE_KRONFIT_H

#include <stdbool.h>
#include <stddef.h>

#include "decompose/group.h"
#include "decompose/varpro.h"

/* The problem in a space where S is about the identity: inputs in the order (x, channel, y), and each of the p blocks
 * whitened by L[d, d], L L^T the covariance averaged over the blocks: V~ = V L. */
typedef struct clvi_kron {
    size_t n, p, d, q, r; /* q = p d */
    double *l;            /* [d, d] */
    double *sht;          /* [q, q + n]: [S | H^T] in the space */
    double total;         /* the objective at W^ = 0 */
    clvi_pool *pool;
} clvi_kron;

/* data: in g's metric, else the identity's with the weights as target. p divides g->k. Gives *out (clvi_kron_free). */
clv_status clvi_kron_create(clvi_kron *out, const clvi_group *g, bool data, size_t p, size_t r, clv_error *err);
void clvi_kron_free(clvi_kron *k); /* and resets to empty */

/* V[r, d] in the space. Views k. */
clvi_structure clvi_kron_structure(const clvi_kron *k);

/* Starts, v[r, d] in the space: number 0 spans the leading right singular vectors of W*, stacked over x (the truncated
 * SVD in the averaged metric), number 1 those of H. */
#define CLVI_KRON_STARTS 2
clv_status clvi_kron_start(const clvi_kron *k, int number, double *v, clv_error *err);

/* v[r, d] into the space: V~ = V L. */
void clvi_kron_enter(const clvi_kron *k, double *v, size_t r);

/* An earlier solution to start from, out of the space: V[r, d], r >= that of the problem, and P^T[p r, n]; borrowed. */
typedef struct clvi_kron_warm {
    size_t r;
    const double *v, *pt;
} clvi_kron_warm;

/* v[k->r, d] in the space: the rows that span what warm gives best, P (I_p (x) V) stacked over the blocks and cut off
 * in the averaged metric; each as long as its singular value. */
clv_status clvi_kron_reduce(const clvi_kron *k, const clvi_kron_warm *warm, double *v, clv_error *err);

/* P of rank at most `rank` (0: any). From warm (NULL: the better of the starts after a few iterations each) to the end.
 * v[r, d],
 * out of the space and with rows of unit length, and pt[p r, n] = P^T, row x r + a for row a of V at x, are written.
 * *iterations grows. */
clv_status clvi_kron_solve(const clvi_kron *k, size_t rank, const clvi_fit_opts *opts, const clvi_kron_warm *warm,
                           double *v, double *pt, int *iterations, clv_context *context, clv_error *err);

#endif
