/* SPDX-License-Identifier: Apache-2.0 */
/* What L-BFGS is told about the curvature of a bottleneck's fit. Were S the identity in the space of clvi_cp, the
 * Gauss-Newton Hessian of f over q[r, c], with d held and P eliminated in name only, would be
 *
 *   2 / total (P^T P o D D^T) (x) I_c        and over d[r, k]        2 / total (P^T P o Q Q^T) (x) I_k
 *
 * (o: element by element): two matrices of order r, whose Cholesky factors cost little beside one product with S. They
 * are what alternating least squares would divide by. Their diagonals are raised by a tenth. */
#ifndef CLVI_DECOMPOSE_CPCURVATURE_H
#define CLVI_DECOMPOSE_CPCURVATURE_H

#include "decompose/cpfit.h"

typedef struct clvi_cp_curvature {
    const clvi_cp *cp;
    const clvi_varpro *varpro;
    double *q, *d; /* [r, r] Cholesky factors, lower triangles */
} clvi_cp_curvature;

/* Views both, which must outlive it. Gives *out (clvi_cp_curvature_free). */
clv_status clvi_cp_curvature_create(clvi_cp_curvature *out, const clvi_cp *cp, const clvi_varpro *varpro,
                                    clv_error *err);
void clvi_cp_curvature_free(clvi_cp_curvature *curvature); /* and resets to empty */

/* For clvi_lbfgs_opts. Views. */
clvi_curvature clvi_cp_curvature_of(clvi_cp_curvature *curvature);

#endif
