/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/cpcurvature.h"

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

#define DAMPING 0.1  /* added to each diagonal, times itself: terms that have become parallel are told apart */
#define FLOOR   1e-9 /* and this of the mean diagonal: terms that nothing listens to */

clv_status clvi_cp_curvature_create(clvi_cp_curvature *m, const clvi_cp *cp, const clvi_varpro *varpro, clv_error *err)
{
    *m = (clvi_cp_curvature){cp, varpro, clvi_calloc(cp->r, cp->r * sizeof(double)),
                             clvi_calloc(cp->r, cp->r * sizeof(double))};
    if (m->q && m->d)
        return CLV_OK;
    clvi_cp_curvature_free(m);
    return FAIL(err, CLV_ERR_NOMEM, "curvature of %zu inner channels", cp->r);
}

void clvi_cp_curvature_free(clvi_cp_curvature *m)
{
    clvi_free(m->q);
    clvi_free(m->d);
    *m = (clvi_cp_curvature){0};
}

/* The factor of 2 / total (P^T P o X X^T) for rows x[r, width]; that of the identity when there is none. */
static void factor(double *a, const clvi_cp_curvature *m, const double *x, size_t width)
{
    const size_t r = m->cp->r, row = m->cp->c + m->cp->k;
    const double *ptp = clvi_varpro_weights(m->varpro), scale = 2 / clvi_varpro_total(m->varpro);
    double mean = 0;
    clvi_syrk_lower(m->cp->pool, (clvi_out){a, r}, 0, scale, clvi_view_of(x, r, width, row));
    for (size_t i = 0; i < r; i++) {
        for (size_t j = 0; j <= i; j++)
            a[i * r + j] *= ptp[i * r + j];
        mean += a[i * r + i] / (double)r;
    }
    for (size_t i = 0; i < r; i++)
        a[i * r + i] += DAMPING * a[i * r + i] + FLOOR * mean;
    if (mean > 0 && clvi_cholesky_shared(m->cp->pool, a, r, r, NULL) == CLV_OK)
        return;
    for (size_t i = 0; i < r; i++)
        for (size_t j = 0; j <= i; j++)
            a[i * r + j] = i == j;
}

static void update(void *arg, const double *theta)
{
    const clvi_cp_curvature *m = arg;
    factor(m->q, m, theta + m->cp->c, m->cp->k);
    factor(m->d, m, theta, m->cp->c);
}

static void divide(void *arg, double *v)
{
    const clvi_cp_curvature *m = arg;
    const size_t r = m->cp->r, c = m->cp->c, k = m->cp->k;
    const clvi_view q = clvi_view_of(m->q, r, r, r), d = clvi_view_of(m->d, r, r, r);
    const clvi_out vq = {v, c + k}, vd = {v + c, c + k};
    clvi_solve_lower(m->cp->pool, q, false, vq, c);
    clvi_solve_lower(m->cp->pool, q, true, vq, c);
    clvi_solve_lower(m->cp->pool, d, false, vd, k);
    clvi_solve_lower(m->cp->pool, d, true, vd, k);
}

clvi_curvature clvi_cp_curvature_of(clvi_cp_curvature *m)
{
    return (clvi_curvature){update, divide, m};
}
