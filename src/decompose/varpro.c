/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/varpro.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

/* G gets this times its own diagonal added, so that filters that have become parallel, or the full multiplier on
 * singular statistics, leave it invertible. It also bounds how far two nearly parallel filters may grow against each
 * other (the degeneracy of CP decompositions), which would cost digits when a network runs in float32. */
#define JITTER 1e-9

/* relative error at which a fit is exact: rounding the weights to float32 costs about 1e-14 */
#define INVISIBLE 1e-12

struct clvi_varpro {
    const clvi_structure *structure;
    size_t m, q, n;
    double total;
    clvi_pool *pool;
    double *sbct; /* [m, q + n] */
    double *g;    /* [m, m], its Cholesky factor after an evaluation */
    double *pt;   /* [m, n] */
    double *ptp;  /* [m, m] */
    size_t rank;  /* of P at most, 0: any */
    double *axes; /* [n, n] principal axes of Y, values[n] beside; with a rank only */
    double *values;
    double *low;       /* [m, rank] Y along the leading axes */
    clv_status failed; /* of an eigenproblem, for which an objective has no return value; err with it */
    clv_error err;
};

clv_status clvi_varpro_create(clvi_varpro **out, const clvi_structure *structure, size_t m, size_t q, size_t n,
                              double total, clvi_pool *pool, clv_error *err)
{
    clvi_varpro *v = clvi_calloc(1, sizeof *v);
    *out = v;
    if (!v)
        return FAIL(err, CLV_ERR_NOMEM, "variable projection over %zu filters", m);
    *v = (clvi_varpro){.structure = structure, .m = m, .q = q, .n = n, .total = total > 0 ? total : 1, .pool = pool};
    v->sbct = clvi_alloc_array(m, (q + n) * sizeof(double));
    v->g = clvi_calloc(m, m * sizeof(double)); /* the upper triangle stays zero */
    v->pt = clvi_alloc_array(m, n * sizeof(double));
    v->ptp = clvi_alloc_array(m, m * sizeof(double));
    if (v->sbct && v->g && v->pt && v->ptp)
        return CLV_OK;
    clvi_varpro_free(v);
    *out = NULL;
    return FAIL(err, CLV_ERR_NOMEM, "variable projection over %zu filters of %zu weights", m, q);
}

void clvi_varpro_free(clvi_varpro *v)
{
    if (!v)
        return;
    clvi_free(v->sbct);
    clvi_free(v->g);
    clvi_free(v->pt);
    clvi_free(v->ptp);
    clvi_free(v->axes);
    clvi_free(v->values);
    clvi_free(v->low);
    clvi_free(v);
}

clv_status clvi_varpro_limit_rank(clvi_varpro *v, size_t rank, clv_error *err)
{
    v->axes = clvi_alloc_array(v->n, v->n * sizeof(double));
    v->values = clvi_alloc_array(v->n, sizeof(double));
    v->low = clvi_alloc_array(v->m, rank * sizeof(double));
    if (!v->axes || !v->values || !v->low)
        return FAIL(err, CLV_ERR_NOMEM, "variable projection of rank %zu for %zu outputs", rank, v->n);
    v->rank = rank < v->n ? rank : 0;
    return CLV_OK;
}

/* The nearest matrix of the permitted rank to Y, held in pt (Eckart and Young): false when that failed. */
static bool truncate_rank(clvi_varpro *v)
{
    const size_t m = v->m, n = v->n;
    const clvi_view y = clvi_view_of(v->pt, m, n, n), leading = clvi_view_of(v->axes, v->rank, n, n);
    clvi_syrk(v->pool, (clvi_out){v->axes, n}, 0, 1, clvi_transposed(y));
    clvi_mirror_lower(v->axes, n, n);
    clv_error err;
    const clv_status st = clvi_eigh(v->axes, v->values, n, &err);
    if (st != CLV_OK && st != CLV_ERR_NUMERIC) { /* of numbers the line search steps back */
        v->failed = st;
        v->err = err;
    }
    if (st != CLV_OK)
        return false;
    clvi_gemm(v->pool, (clvi_out){v->low, v->rank}, 0, 1, y, clvi_transposed(leading));
    clvi_gemm(v->pool, (clvi_out){v->pt, n}, 0, 1, clvi_view_of(v->low, m, v->rank, v->rank), leading);
    return true;
}

/* G = L L^T, Y = L^-1 C^T (its leading part when P's rank is limited), f = total - |Y|^2, P^T = L^-T Y. Returns |Y|^2,
 * or -1 when G is not positive definite. */
static double eliminate(clvi_varpro *v, const double *theta)
{
    const size_t m = v->m, n = v->n, width = v->q + v->n;
    double energy = 0;
    v->structure->project(v->structure->self, theta, v->sbct, v->g);
    for (size_t a = 0; a < m; a++) {
        double *diagonal = v->g + a * m + a;
        *diagonal = *diagonal > 0 ? *diagonal * (1 + JITTER) : 1; /* a filter of zeros is left out */
    }
    if (clvi_cholesky_shared(v->pool, v->g, m, m, NULL) != CLV_OK)
        return -1;
    for (size_t a = 0; a < m; a++)
        memcpy(v->pt + a * n, v->sbct + a * width + v->q, n * sizeof(double));
    const clvi_view l = clvi_view_of(v->g, m, m, m);
    clvi_solve_lower(v->pool, l, false, (clvi_out){v->pt, n}, n);
    if (v->rank > 0 && !truncate_rank(v))
        return -1;
    energy = clvi_dot(clvi_view_of(v->pt, m, n, n), clvi_view_of(v->pt, m, n, n));
    clvi_solve_lower(v->pool, l, true, (clvi_out){v->pt, n}, n);
    return energy;
}

double clvi_varpro_evaluate(void *varpro, const double *theta, double *grad)
{
    clvi_varpro *v = varpro;
    const double energy = eliminate(v, theta);
    if (!(energy >= 0))
        return HUGE_VAL;
    clvi_syrk(v->pool, (clvi_out){v->ptp, v->m}, 0, 1, clvi_view_of(v->pt, v->m, v->n, v->n));
    v->structure->pull(v->structure->self, theta, v->pt, v->ptp, v->sbct, grad);
    for (size_t i = 0; i < v->structure->params; i++)
        grad[i] /= v->total;
    return 1 - energy / v->total;
}

clvi_lbfgs_opts clvi_varpro_opts(const clvi_fit_opts *opts)
{
    clvi_lbfgs_opts o = clvi_lbfgs_opts_default();
    o.max_iterations = opts->max_iterations;
    o.f_tolerance = opts->tolerance;
    o.f_target = INVISIBLE;
    return o;
}

clv_status clvi_varpro_failed(const clvi_varpro *v, clv_error *err)
{
    if (v->failed != CLV_OK && err)
        *err = v->err;
    return v->failed;
}

clv_status clvi_varpro_minimise(clvi_varpro *v, double *theta, const clvi_lbfgs_opts *opts, clvi_lbfgs_result *result,
                                clv_context *context, clv_error *err)
{
    const clv_status st = clvi_lbfgs(theta, v->structure->params, clvi_varpro_evaluate, v, opts, result, context, err);
    TRY(clvi_varpro_failed(v, err));
    return st;
}

const double *clvi_varpro_solve(clvi_varpro *v, const double *theta)
{
    return eliminate(v, theta) >= 0 ? v->pt : NULL;
}

const double *clvi_varpro_factor(const clvi_varpro *v)
{
    return v->g;
}

const double *clvi_varpro_weights(const clvi_varpro *v)
{
    return v->ptp;
}

double clvi_varpro_total(const clvi_varpro *v)
{
    return v->total;
}

/* Remove filter a: with g = (G^-1)_a, P^T -= g P_a^T / g_a and G^-1 -= g g^T / g_a. */
static void remove_filter(double *ginv, double *pt, size_t m, size_t n, size_t a)
{
    const double pivot = ginv[a * m + a];
    for (size_t b = 0; b < m; b++) {
        const double share = ginv[b * m + a] / pivot;
        if (b == a || share == 0)
            continue;
        clvi_axpy(n, -share, pt + a * n, pt + b * n);
        clvi_axpy(m, -share, ginv + a * m, ginv + b * m);
    }
}

clv_status clvi_varpro_reduce(clvi_varpro *v, const double *theta, size_t keep, bool *kept, clv_error *err)
{
    const size_t m = v->m, n = v->n;
    if (eliminate(v, theta) < 0)
        return FAIL(err, CLV_ERR_NUMERIC, "the %zu filters to choose from are dependent", m);
    double *ginv = clvi_calloc(m, m * sizeof *ginv);
    if (!ginv)
        return FAIL(err, CLV_ERR_NOMEM, "inverse of a matrix of order %zu", m);
    for (size_t a = 0; a < m; a++) {
        ginv[a * m + a] = 1;
        kept[a] = true;
    }
    const clvi_view l = clvi_view_of(v->g, m, m, m);
    clvi_solve_lower(v->pool, l, false, (clvi_out){ginv, m}, m);
    clvi_solve_lower(v->pool, l, true, (clvi_out){ginv, m}, m);
    for (size_t left = m; left > keep; left--) {
        double least = HUGE_VAL;
        size_t worst = 0;
        for (size_t a = 0; a < m; a++) {
            if (!kept[a])
                continue;
            const clvi_view p = clvi_view_of(v->pt + a * n, 1, n, n);
            const double loss = clvi_dot(p, p) / ginv[a * m + a];
            if (loss < least) {
                least = loss;
                worst = a;
            }
        }
        while (least == HUGE_VAL && !kept[worst]) /* rounding has spoilt them all: any */
            worst++;
        kept[worst] = false;
        remove_filter(ginv, v->pt, m, n, worst);
    }
    clvi_free(ginv);
    return CLV_OK;
}
