/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/kronfit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

#define TRIAL_ITERATIONS 15   /* of each start, before the better goes on */
#define SMALLEST         1e-6 /* share of the first row's energy that a row is taken to carry at least */

void clvi_kron_free(clvi_kron *k)
{
    clvi_free(k->l);
    clvi_free(k->sht);
    *k = (clvi_kron){0};
}

/* Row of the space that input j = (channel, y, x) of the group goes to. */
static size_t place(const clvi_kron *k, size_t j)
{
    return j % k->p * k->d + j / k->p;
}

static void reorder(clvi_kron *k, const clvi_group *g, bool data)
{
    const size_t q = k->q, width = q + k->n;
    const double *const h = data ? g->h : g->w;
    for (size_t j = 0; j < q; j++) {
        double *row = k->sht + place(k, j) * width;
        for (size_t i = 0; i < q; i++)
            row[place(k, i)] = data ? g->s[j * q + i] : i == j;
        for (size_t i = 0; i < k->n; i++)
            row[q + i] = h[i * q + j];
    }
}

/* (I (x) L)^-1 on both sides of S and on H^T. */
static clv_status whiten(clvi_kron *k, clv_error *err)
{
    const size_t d = k->d, width = k->q + k->n;
    for (size_t x = 0; x < k->p; x++)
        for (size_t i = 0; i < d; i++)
            clvi_axpy(d, 1 / (double)k->p, k->sht + (x * d + i) * width + x * d, k->l + i * d);
    TRY(clvi_cholesky(k->l, d, d, err));
    const clvi_view l = clvi_view_of(k->l, d, d, d);
    for (size_t x = 0; x < k->p; x++)
        clvi_solve_lower(k->pool, l, false, (clvi_out){k->sht + x * d * width, width}, width);
    for (size_t x = 0; x < k->p; x++)
        clvi_solve_lower_right(k->pool, l, true, (clvi_out){k->sht + x * d, width}, k->q);
    return CLV_OK;
}

clv_status clvi_kron_create(clvi_kron *k, const clvi_group *g, bool data, size_t p, size_t r, clv_error *err)
{
    *k = (clvi_kron){.n = g->n, .p = p, .d = g->q / p, .q = g->q, .r = r, .total = g->total, .pool = g->pool};
    k->l = clvi_calloc(k->d, k->d * sizeof(double));
    k->sht = clvi_alloc_array(k->q, (k->q + k->n) * sizeof(double));
    clv_status st = CLV_OK;
    if (!k->l || !k->sht)
        st = FAIL(err, CLV_ERR_NOMEM, "fit of %zu channels over %zu inputs", r, k->q);
    if (st == CLV_OK) {
        if (!data)
            k->total = clvi_dot(clvi_view_of(g->w, g->n, g->q, g->q), clvi_view_of(g->w, g->n, g->q, g->q));
        reorder(k, g, data);
        st = whiten(k, err);
    }
    if (st != CLV_OK)
        clvi_kron_free(k);
    return st;
}

/* Row x r + a of B^T is row a of V at block x. */
static void project(const void *self, const double *v, double *sbct, double *g)
{
    const clvi_kron *k = self;
    const size_t d = k->d, r = k->r, m = k->p * r, width = k->q + k->n;
    const clvi_view rows = clvi_view_of(v, r, d, d);
    for (size_t x = 0; x < k->p; x++)
        clvi_gemm(k->pool, (clvi_out){sbct + x * r * width, width}, 0, 1, rows,
                  clvi_view_of(k->sht + x * d * width, d, width, width));
    for (size_t x = 0; x < k->p; x++) /* the blocks on and below the diagonal */
        clvi_gemm(k->pool, (clvi_out){g + x * r * m + x * r, m}, 0, 1,
                  clvi_view_of(sbct + x * r * width + x * d, m - x * r, d, width), clvi_transposed(rows));
}

static void pull(const void *self, const double *v, const double *pt, const double *ptp, const double *sbct,
                 double *grad)
{
    const clvi_kron *k = self;
    const size_t d = k->d, n = k->n, r = k->r, m = k->p * r, width = k->q + n;
    (void)v;
    for (size_t x = 0; x < k->p; x++) {
        clvi_gemm(k->pool, (clvi_out){grad, d}, x > 0, -2, clvi_view_of(pt + x * r * n, r, n, n),
                  clvi_transposed(clvi_view_of(k->sht + x * d * width + k->q, d, n, width)));
        clvi_gemm(k->pool, (clvi_out){grad, d}, 1, 2, clvi_view_of(ptp + x * r * m, r, m, m),
                  clvi_view_of(sbct + x * d, m, d, width));
    }
}

clvi_structure clvi_kron_structure(const clvi_kron *k)
{
    return (clvi_structure){k, k->r * k->d, project, pull};
}

/* target[n, q] = W* = H S^-1 in the space. */
static clv_status regress(const clvi_kron *k, double *target, clv_error *err)
{
    const size_t q = k->q, width = q + k->n;
    double *s = clvi_alloc_array(q, q * sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "regression on %zu inputs", q);
    for (size_t j = 0; j < q; j++)
        memcpy(s + j * q, k->sht + j * width, q * sizeof *s);
    const clv_status st = clvi_solve_spd(k->pool, s, q, target, k->n, err);
    clvi_free(s);
    return st;
}

/* f depends on the span of V's rows alone, but its curvature along a row goes with the square of what the row carries
 * over its length: with rows as long as what they carry it is the same for all, which is what L-BFGS starts from.
 * energy[r]: squares, descending. */
static void balance(const clvi_kron *k, double *v, const double *energy)
{
    for (size_t a = 0; a < k->r; a++) {
        const double size = energy[0] > 0 ? sqrt(fmax(energy[a] / energy[0], SMALLEST)) : 1;
        for (size_t i = 0; i < k->d; i++)
            v[a * k->d + i] *= size;
    }
}

clv_status clvi_kron_start(const clvi_kron *k, int number, double *v, clv_error *err)
{
    const size_t d = k->d, q = k->q, n = k->n, width = q + n;
    double *target = clvi_alloc_array(n, q * sizeof *target), *square = clvi_alloc_array(d, d * sizeof *square);
    double *values = clvi_alloc_array(d, sizeof *values);
    clv_status st = CLV_OK;
    if (!target || !square || !values) {
        st = FAIL(err, CLV_ERR_NOMEM, "start of %zu channels over %zu inputs", k->r, q);
        goto out;
    }
    for (size_t j = 0; j < q; j++)
        for (size_t i = 0; i < n; i++)
            target[i * q + j] = k->sht[j * width + q + i];
    if (number == 0 && (st = regress(k, target, err)) != CLV_OK)
        goto out;
    for (size_t x = 0; x < k->p; x++)
        clvi_syrk(k->pool, (clvi_out){square, d}, x > 0, 1, clvi_transposed(clvi_view_of(target + x * d, n, d, q)));
    clvi_mirror_lower(square, d, d);
    if ((st = clvi_eigh(square, values, d, err)) != CLV_OK)
        goto out;
    memcpy(v, square, k->r * d * sizeof *v);
    balance(k, v, values);
out:
    clvi_free(target);
    clvi_free(square);
    clvi_free(values);
    return st;
}

/* In place: column t needs columns t and later alone. */
void clvi_kron_enter(const clvi_kron *k, double *a, size_t r)
{
    const size_t d = k->d;
    for (size_t row = 0; row < r; row++)
        for (size_t t = 0; t < d; t++) {
            double sum = 0;
            for (size_t i = t; i < d; i++)
                sum += a[row * d + i] * k->l[i * d + t];
            a[row * d + t] = sum;
        }
}

/* V = R Q with orthonormal rows Q, R lower triangular; then the stacked P R = A, and the leading eigenvectors U of A^T
 * A give the rows U^T Q. Rows that have become dependent are told apart by a ridge at the level of rounding. */
clv_status clvi_kron_reduce(const clvi_kron *k, const clvi_kron_warm *warm, double *v, clv_error *err)
{
    const size_t r = warm->r, d = k->d, n = k->n, p = k->p;
    double *q = clvi_alloc_array(r, d * sizeof *q), *lower = clvi_calloc(r, r * sizeof *lower);
    double *a = clvi_alloc_array(r, n * sizeof *a), *square = clvi_alloc_array(r, r * sizeof *square);
    double *values = clvi_alloc_array(r, sizeof *values);
    clv_status st = CLV_OK;
    if (!q || !lower || !a || !square || !values) {
        st = FAIL(err, CLV_ERR_NOMEM, "start of %zu channels from %zu", k->r, r);
        goto out;
    }
    memcpy(q, warm->v, r * d * sizeof *q);
    clvi_kron_enter(k, q, r);
    clvi_syrk_lower(k->pool, (clvi_out){lower, r}, 0, 1, clvi_view_of(q, r, d, d));
    for (size_t i = 0; i < r; i++)
        lower[i * r + i] = lower[i * r + i] > 0 ? lower[i * r + i] * (1 + 1e-12) : 1;
    if ((st = clvi_cholesky(lower, r, r, err)) != CLV_OK)
        goto out;
    const clvi_view l = clvi_view_of(lower, r, r, r);
    clvi_solve_lower(k->pool, l, false, (clvi_out){q, d}, d);
    for (size_t x = 0; x < p; x++) { /* A^T = R^T P^T, block by block */
        clvi_gemm(k->pool, (clvi_out){a, n}, 0, 1, clvi_transposed(l), clvi_view_of(warm->pt + x * r * n, r, n, n));
        clvi_syrk(k->pool, (clvi_out){square, r}, x > 0, 1, clvi_view_of(a, r, n, n));
    }
    if ((st = clvi_eigh(square, values, r, err)) != CLV_OK)
        goto out;
    clvi_gemm(k->pool, (clvi_out){v, d}, 0, 1, clvi_view_of(square, k->r, r, r), clvi_view_of(q, r, d, d));
    balance(k, v, values);
out:
    clvi_free(q);
    clvi_free(lower);
    clvi_free(a);
    clvi_free(square);
    clvi_free(values);
    return st;
}

/* Out of the space, V = V~ L^-1, and each row's length into P. */
static void leave(const clvi_kron *k, double *v, double *pt)
{
    const size_t d = k->d;
    clvi_solve_lower_right(k->pool, clvi_view_of(k->l, d, d, d), false, (clvi_out){v, d}, k->r);
    for (size_t a = 0; a < k->r; a++) {
        const clvi_view row = clvi_view_of(v + a * d, 1, d, d);
        const double length = sqrt(clvi_dot(row, row));
        for (size_t i = 0; i < d && length > 0; i++)
            v[a * d + i] /= length;
        for (size_t x = 0; x < k->p; x++)
            for (size_t i = 0; i < k->n; i++)
                pt[(x * k->r + a) * k->n + i] *= length;
    }
}

static clv_status best_start(const clvi_kron *k, clvi_varpro *varpro, const clvi_lbfgs_opts *solver, int starts,
                             double *v, int *iterations, clv_context *context, clv_error *err)
{
    clvi_lbfgs_opts few = *solver;
    clvi_lbfgs_result result;
    double best = HUGE_VAL, *trial = clvi_alloc_array(k->r, k->d * sizeof *trial);
    clv_status st = CLV_OK;
    if (!trial)
        return FAIL(err, CLV_ERR_NOMEM, "fit of %zu channels over %zu inputs", k->r, k->q);
    if (starts == 1)
        few.max_iterations = 0;
    else if (few.max_iterations > TRIAL_ITERATIONS)
        few.max_iterations = TRIAL_ITERATIONS;
    for (int start = 0; start < starts && best > solver->f_target; start++) {
        if ((st = clvi_kron_start(k, start, trial, err)) != CLV_OK ||
            (st = clvi_varpro_minimise(varpro, trial, &few, &result, context, err)) != CLV_OK)
            break;
        *iterations += result.iterations;
        if (result.f < best) {
            best = result.f;
            memcpy(v, trial, k->r * k->d * sizeof *v);
        }
    }
    clvi_free(trial);
    return st;
}

clv_status clvi_kron_solve(const clvi_kron *k, size_t rank, const clvi_fit_opts *opts, const clvi_kron_warm *warm,
                           double *v, double *pt, int *iterations, clv_context *context, clv_error *err)
{
    const clvi_structure structure = clvi_kron_structure(k);
    const clvi_lbfgs_opts solver = clvi_varpro_opts(opts);
    clvi_lbfgs_result result;
    clvi_varpro *varpro = NULL;
    clv_status st;
    const int starts = opts->starts == 1 ? 1 : CLVI_KRON_STARTS;
    TRY(clvi_varpro_create(&varpro, &structure, k->p * k->r, k->q, k->n, k->total, k->pool, err));
    if (rank > 0 && (st = clvi_varpro_limit_rank(varpro, rank, err)) != CLV_OK)
        goto out;
    st = warm ? clvi_kron_reduce(k, warm, v, err) : best_start(k, varpro, &solver, starts, v, iterations, context, err);
    if (st != CLV_OK || (st = clvi_varpro_minimise(varpro, v, &solver, &result, context, err)) != CLV_OK)
        goto out;
    *iterations += result.iterations;
    const double *solved = clvi_varpro_solve(varpro, v);
    if (!solved) {
        st = clvi_varpro_failed(varpro, err);
        if (st == CLV_OK)
            st = FAIL(err, CLV_ERR_NUMERIC, "the %zu inner channels of a fit became dependent", k->r);
        goto out;
    }
    memcpy(pt, solved, k->p * k->r * k->n * sizeof *pt);
    leave(k, v, pt);
out:
    clvi_varpro_free(varpro);
    return st;
}
