/* SPDX-License-Identifier: Apache-2.0 */
/* B = blockdiag(D_i), so B^T [S | H^T] takes k multiply-adds per element instead of q, and the gradient is needed on
 * the blocks alone. theta is D itself, [total, k]. */
#include "decompose/dwjoint.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

#define CHANNELS  ((size_t)8)       /* of one task */
#define POOL_WORK ((size_t)1 << 20) /* multiply-adds below which threads cost more than they bring */

typedef struct job {
    const clvi_dw_blocks *b;
    const double *theta, *pt, *ptp;
    double *sbct, *g, *grad;
    const double *sbct_in;
} job;

typedef void (*channel_step)(const job *j, size_t channel);

/* Rows of channel i of B^T [S | H^T]. */
static void project_channel(const job *j, size_t i)
{
    const clvi_dw *dw = j->b->dw;
    const size_t k = dw->k, width = dw->c * k + dw->n, a = dw->first[i], m = dw->first[i + 1] - a;
    clvi_gemm(NULL, (clvi_out){j->sbct + a * width, width}, 0, 1, clvi_view_of(j->theta + a * k, m, k, k),
              clvi_view_of(j->b->space->sht + i * k * width, k, width, width));
}

/* Columns of channel i of G, from the diagonal down. */
static void gram_channel(const job *j, size_t i)
{
    const clvi_dw *dw = j->b->dw;
    const size_t k = dw->k, width = dw->c * k + dw->n, a = dw->first[i], m = dw->first[i + 1] - a, total = dw->total;
    clvi_gemm(NULL, (clvi_out){j->g + a * total + a, total}, 0, 1,
              clvi_view_of(j->sbct + a * width + i * k, total - a, k, width),
              clvi_transposed(clvi_view_of(j->theta + a * k, m, k, k)));
}

/* -2 (P_i^T H_i - (P^T P)_i B^T S_i) */
static void pull_channel(const job *j, size_t i)
{
    const clvi_dw *dw = j->b->dw;
    const size_t k = dw->k, n = dw->n, q = dw->c * k, width = q + n, a = dw->first[i], m = dw->first[i + 1] - a;
    const clvi_out grad = {j->grad + a * k, k};
    clvi_gemm(NULL, grad, 0, -2, clvi_view_of(j->pt + a * n, m, n, n),
              clvi_transposed(clvi_view_of(j->b->space->sht + i * k * width + q, k, n, width)));
    clvi_gemm(NULL, grad, 1, 2, clvi_view_of(j->ptp + a * dw->total, m, dw->total, dw->total),
              clvi_view_of(j->sbct_in + i * k, dw->total, k, width));
}

typedef struct steps {
    const job *j;
    channel_step step;
} steps;

static void run_step(void *arg, size_t index, int worker)
{
    const steps *s = arg;
    const size_t end = clvi_min_size((index + 1) * CHANNELS, s->j->b->dw->c);
    (void)worker;
    for (size_t i = index * CHANNELS; i < end; i++)
        if (s->j->b->dw->first[i + 1] > s->j->b->dw->first[i])
            s->step(s->j, i);
}

static void each_channel(const job *j, channel_step step)
{
    steps s = {j, step};
    clvi_pool_run(j->b->pool, (j->b->dw->c + CHANNELS - 1) / CHANNELS, run_step, &s);
}

static void project(const void *self, const double *theta, double *sbct, double *g)
{
    const job j = {.b = self, .theta = theta, .sbct = sbct, .g = g};
    each_channel(&j, project_channel);
    each_channel(&j, gram_channel);
}

static void pull(const void *self, const double *theta, const double *pt, const double *ptp, const double *sbct,
                 double *grad)
{
    const job j = {.b = self, .theta = theta, .pt = pt, .ptp = ptp, .sbct_in = sbct, .grad = grad};
    each_channel(&j, pull_channel);
}

clvi_structure clvi_dw_structure(const clvi_dw_blocks *blocks)
{
    return (clvi_structure){blocks, blocks->dw->total * blocks->dw->k, project, pull};
}

/* The curvature of f along a unit filter goes with |p_a|^2. Filters of length |p_a| see equal curvature, which is what
 * L-BFGS starts from; f itself does not see the length of a filter. */
static void balance(clvi_dw *dw)
{
    double peak = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t a = 0; a < dw->total; a++) {
            double *d = dw->d + a * dw->k, pp = 0, dd = 0;
            for (size_t i = 0; i < dw->n; i++)
                pp += dw->pt[a * dw->n + i] * dw->pt[a * dw->n + i];
            for (size_t t = 0; t < dw->k; t++)
                dd += d[t] * d[t];
            const double size = sqrt(pp * dd);
            if (pass == 0)
                peak = fmax(peak, size);
            else if (dd > 0 && peak > 0)
                for (size_t t = 0; t < dw->k; t++)
                    d[t] *= fmax(size / peak, 1e-3) / sqrt(dd);
        }
}

/* Removing the combination v of channel i's filters, all P refitted, costs v^T (P_i^T P_i) v / v^T (G^-1)_ii v. Its
 * stationary values are generalised eigenvalues; in their basis each filter's own cost is one of them. ginv[total,
 * total]. With Q = (G^-1)_ii = L L^T, and U the eigenvectors of L^-1 P_i^T P_i L^-T: v = L^-T u, and since v is a
 * column of A^-T when D^T -> A^T D^T, P -> P A^-T:  A = L U. */
static clv_status turn_channel(clvi_dw *dw, size_t i, const double *ginv, double *loss, double *work, clv_error *err)
{
    const size_t k = dw->k, n = dw->n, a = dw->first[i], m = dw->first[i + 1] - a, most = k;
    double *l = work, *c = l + most * most, *d = c + most * most, *pt = d + most * k;
    if (m == 0)
        return CLV_OK;
    for (size_t r = 0; r < m; r++)
        memcpy(l + r * m, ginv + (a + r) * dw->total + a, m * sizeof(double));
    TRY(clvi_cholesky(l, m, m, err));
    for (size_t r = 0; r < m; r++)
        for (size_t s = r + 1; s < m; s++)
            l[r * m + s] = 0;
    const clvi_view lower = clvi_view_of(l, m, m, m);
    clvi_syrk(NULL, (clvi_out){c, m}, 0, 1, clvi_view_of(dw->pt + a * n, m, n, n));
    clvi_solve_lower(NULL, lower, false, (clvi_out){c, m}, m);
    clvi_solve_lower_right(NULL, lower, true, (clvi_out){c, m}, m);
    for (size_t r = 0; r < m; r++) /* symmetric up to rounding: make it so */
        for (size_t s = 0; s < r; s++)
            c[r * m + s] = c[s * m + r] = 0.5 * (c[r * m + s] + c[s * m + r]);
    TRY(clvi_eigh(c, loss + a, m, err)); /* rows of c: U^T */
    /* rows of filters: D'^T = U^T L^T D^T;  P'^T = U^T L^-1 P^T */
    memcpy(d, dw->d + a * k, m * k * sizeof(double));
    memcpy(pt, dw->pt + a * n, m * n * sizeof(double));
    clvi_solve_lower(NULL, lower, false, (clvi_out){pt, n}, n);
    clvi_gemm(NULL, (clvi_out){dw->pt + a * n, n}, 0, 1, clvi_view_of(c, m, m, m), clvi_view_of(pt, m, n, n));
    clvi_gemm(NULL, (clvi_out){dw->d + a * k, k}, 0, 1, clvi_transposed(lower), clvi_view_of(d, m, k, k));
    memcpy(d, dw->d + a * k, m * k * sizeof(double));
    clvi_gemm(NULL, (clvi_out){dw->d + a * k, k}, 0, 1, clvi_view_of(c, m, m, m), clvi_view_of(d, m, k, k));
    return CLV_OK;
}

/* factor: the Cholesky factor of G, [total, total]. */
static clv_status turn(clvi_dw *dw, const double *factor, double *loss, clvi_pool *pool, clv_error *err)
{
    const size_t total = dw->total, k = dw->k;
    clv_status st = CLV_OK;
    double *ginv = clvi_calloc(total, total * sizeof *ginv);
    double *work = clvi_alloc_array(2 * k * k + k * k + k * dw->n, sizeof *work);
    if (!ginv || !work) {
        st = FAIL(err, CLV_ERR_NOMEM, "inverse of a matrix of order %zu", total);
        goto out;
    }
    for (size_t a = 0; a < total; a++)
        ginv[a * total + a] = 1;
    const clvi_view l = clvi_view_of(factor, total, total, total);
    clvi_solve_lower(pool, l, false, (clvi_out){ginv, total}, total);
    clvi_solve_lower(pool, l, true, (clvi_out){ginv, total}, total);
    for (size_t i = 0; i < dw->c && st == CLV_OK; i++)
        st = turn_channel(dw, i, ginv, loss, work, err);
out:
    clvi_free(ginv);
    clvi_free(work);
    return st;
}

clv_status clvi_dw_joint(clvi_dw *dw, const clvi_dw_space *space, const clvi_lbfgs_opts *opts, double *loss,
                         int *iterations, clv_context *context, clv_error *err)
{
    const size_t q = dw->c * dw->k;
    const clvi_dw_blocks b = {dw, space, dw->total * dw->k * (q + dw->n) > POOL_WORK ? space->g->pool : NULL};
    const clvi_structure structure = clvi_dw_structure(&b);
    clvi_varpro *v;
    clvi_lbfgs_result result;
    if (dw->total == 0)
        return CLV_OK;
    balance(dw);
    TRY(clvi_varpro_create(&v, &structure, dw->total, q, dw->n, space->g->total, b.pool, err));
    clv_status st = clvi_varpro_minimise(v, dw->d, opts, &result, context, err);
    if (st != CLV_OK)
        goto out;
    *iterations += result.iterations;
    const double *pt = clvi_varpro_solve(v, dw->d);
    if (!pt) {
        st = FAIL(err, CLV_ERR_NUMERIC, "the filters of a fit of %zu became dependent", dw->total);
        goto out;
    }
    memcpy(dw->pt, pt, dw->total * dw->n * sizeof(double));
    if (loss)
        st = turn(dw, clvi_varpro_factor(v), loss, b.pool, err);
out:
    clvi_varpro_free(v);
    return st;
}
