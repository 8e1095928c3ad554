/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/cpfit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "decompose/cpcurvature.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

#define TURNED ((size_t)32) /* rows and columns of a square that is transposed at once */

void clvi_cp_free(clvi_cp *s)
{
    clvi_free(s->lc);
    clvi_free(s->lk);
    clvi_free(s->sht);
    clvi_free(s->bt);
    clvi_free(s->residual);
    clvi_free(s->spectrum);
    *s = (clvi_cp){0};
}

/* a[q, width] = (Lc (x) Lk)^-1 a */
static void whiten(const clvi_cp *s, clvi_out a, size_t width)
{
    for (size_t i = 0; i < s->c; i++)
        clvi_solve_lower(s->pool, clvi_view_of(s->lk, s->k, s->k, s->k), false, (clvi_out){a.p + i * s->k * a.ld, a.ld},
                         width);
    for (size_t t = 0; t < s->k; t++) /* rows (0, t), (1, t), ... lie k rows apart */
        clvi_solve_lower(s->pool, clvi_view_of(s->lc, s->c, s->c, s->c), false, (clvi_out){a.p + t * a.ld, s->k * a.ld},
                         width);
}

static void transpose(clvi_out a, size_t n)
{
    for (size_t i0 = 0; i0 < n; i0 += TURNED)
        for (size_t j0 = 0; j0 <= i0; j0 += TURNED)
            for (size_t i = i0; i < clvi_min_size(i0 + TURNED, n); i++)
                for (size_t j = j0; j < clvi_min_size(j0 + TURNED, i); j++) {
                    const double t = a.p[i * a.ld + j];
                    a.p[i * a.ld + j] = a.p[j * a.ld + i];
                    a.p[j * a.ld + i] = t;
                }
}

static clv_status marginals(clvi_cp *s, const double *cov, clv_error *err)
{
    const size_t c = s->c, k = s->k, q = s->q;
    double trace = 0;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++)
            for (size_t t = 0; t < k; t++)
                s->lc[i * c + j] += cov[(i * k + t) * q + j * k + t] / (double)k;
    for (size_t t = 0; t < k; t++)
        for (size_t u = 0; u < k; u++)
            for (size_t i = 0; i < c; i++)
                s->lk[t * k + u] += cov[(i * k + t) * q + i * k + u] / (double)c;
    for (size_t t = 0; t < k; t++)
        trace += s->lk[t * k + t];
    for (size_t j = 0; j < k * k && trace > 0; j++)
        s->lk[j] *= (double)k / trace;
    TRY(clvi_cholesky(s->lc, c, c, err));
    return clvi_cholesky(s->lk, k, k, err);
}

clv_status clvi_cp_create(clvi_cp *s, const clvi_group *g, const double *cov, const double *h, clv_error *err)
{
    const size_t q = g->q, n = g->n, width = q + n;
    clv_status st;
    *s = (clvi_cp){.n = n, .c = g->c, .k = g->k, .q = q, .pool = g->pool};
    s->lc = clvi_calloc(g->c, g->c * sizeof(double));
    s->lk = clvi_calloc(g->k, g->k * sizeof(double));
    s->sht = clvi_alloc_array(q, width * sizeof(double));
    const clvi_out sht = {s->sht, width};
    if (!s->lc || !s->lk || !s->sht) {
        st = FAIL(err, CLV_ERR_NOMEM, "bottleneck over %zu inputs", q);
        goto out;
    }
    if ((st = marginals(s, cov, err)) != CLV_OK)
        goto out;
    for (size_t j = 0; j < q; j++)
        memcpy(s->sht + j * width, cov + j * q, q * sizeof(double));
    whiten(s, sht, q); /* M S, then M (M S)^T = M S M^T */
    transpose(sht, q);
    for (size_t j = 0; j < q; j++)
        for (size_t i = 0; i < n; i++)
            s->sht[j * width + q + i] = h[i * q + j];
    whiten(s, sht, width);
out:
    if (st != CLV_OK)
        clvi_cp_free(s);
    return st;
}

/* theta: row r is q_r[c] then d_r[k]. */
static void project(const void *self, const double *theta, double *sbct, double *g)
{
    const clvi_cp *s = self;
    const size_t q = s->q, width = q + s->n;
    for (size_t r = 0; r < s->r; r++) {
        const double *qr = theta + r * (s->c + s->k), *dr = qr + s->c;
        for (size_t i = 0; i < s->c; i++)
            for (size_t t = 0; t < s->k; t++)
                s->bt[r * q + i * s->k + t] = qr[i] * dr[t];
    }
    const clvi_view bt = clvi_view_of(s->bt, s->r, q, q);
    clvi_gemm(s->pool, (clvi_out){sbct, width}, 0, 1, bt, clvi_view_of(s->sht, q, width, width));
    clvi_gemm_lower(s->pool, (clvi_out){g, s->r}, 0, 1, clvi_view_of(sbct, s->r, q, width), clvi_transposed(bt));
}

/* full[r, q] = 2 (P^T P B^T S - P^T H), the gradient by B: over the outputs where they are fewer than the terms. */
static void pull_full(const clvi_cp *s, double *full, const double *pt, const double *ptp, const double *sbct)
{
    const size_t q = s->q, n = s->n, width = q + n;
    const clvi_view bs = clvi_view_of(sbct, s->r, q, width), p = clvi_view_of(pt, s->r, n, n);
    if (s->r > n) {
        for (size_t j = 0; j < q; j++)
            for (size_t i = 0; i < n; i++)
                s->residual[i * q + j] = s->sht[j * width + q + i];
        clvi_gemm(s->pool, (clvi_out){s->residual, q}, -1, 1, clvi_transposed(p), bs);
        clvi_gemm(s->pool, (clvi_out){full, q}, 0, 2, p, clvi_view_of(s->residual, n, q, q));
        return;
    }
    clvi_gemm(s->pool, (clvi_out){full, q}, 0, -2, p, clvi_transposed(clvi_view_of(s->sht + q, q, n, width)));
    clvi_gemm(s->pool, (clvi_out){full, q}, 1, 2, clvi_view_of(ptp, s->r, s->r, s->r), bs);
}

static void pull(const void *self, const double *theta, const double *pt, const double *ptp, const double *sbct,
                 double *grad)
{
    const clvi_cp *s = self;
    const size_t q = s->q;
    double *full = s->bt; /* B itself is needed no more */
    pull_full(s, full, pt, ptp, sbct);
    memset(grad, 0, s->r * (s->c + s->k) * sizeof *grad);
    for (size_t r = 0; r < s->r; r++) {
        const double *qr = theta + r * (s->c + s->k), *dr = qr + s->c;
        double *gq = grad + r * (s->c + s->k), *gd = gq + s->c;
        for (size_t i = 0; i < s->c; i++)
            for (size_t t = 0; t < s->k; t++) {
                const double v = full[r * q + i * s->k + t];
                gq[i] += v * dr[t];
                gd[t] += v * qr[i];
            }
    }
}

typedef struct term {
    double energy;
    size_t vector, component;
} term;

static int by_energy(const void *a, const void *b)
{
    const term *x = a, *y = b;
    if (x->energy != y->energy)
        return x->energy > y->energy ? -1 : 1;
    if (x->vector != y->vector)
        return x->vector < y->vector ? -1 : 1;
    return x->component < y->component ? -1 : x->component > y->component;
}

/* Right singular vectors of H = U s V^T, each seen as a [c, k] matrix, are themselves sums of rank-one terms q (x) d:
 * left[rank parts, c], right[rank parts, k], and how much energy each has. */
static clv_status split_spectrum(const clvi_cp *s, size_t parts, double *left, double *right, term *terms,
                                 clv_error *err)
{
    const size_t n = s->n, q = s->q, c = s->c, k = s->k, rank = clvi_min_size(n, q);
    clv_status st = CLV_OK;
    double *ht = clvi_alloc_array(q, n * sizeof *ht), *u = clvi_alloc_array(q, rank * sizeof *u);
    double *values = clvi_alloc_array(rank, sizeof *values), *vt = clvi_alloc_array(rank, n * sizeof *vt);
    double *m = clvi_alloc_array(c, k * sizeof *m), *sizes = clvi_alloc_array(parts, sizeof *sizes);
    double *columns = clvi_alloc_array(c, parts * sizeof *columns);
    if (!ht || !u || !values || !vt || !m || !sizes || !columns) {
        st = FAIL(err, CLV_ERR_NOMEM, "start of a bottleneck over %zu inputs", q);
        goto out;
    }
    for (size_t j = 0; j < q; j++)
        memcpy(ht + j * n, s->sht + j * (q + n) + q, n * sizeof *ht);
    if ((st = clvi_svd(ht, q, n, u, values, vt, err)) != CLV_OK)
        goto out;
    for (size_t v = 0; v < rank; v++) {
        for (size_t j = 0; j < q; j++)
            m[j] = u[j * rank + v];
        if ((st = clvi_svd(m, c, k, columns, sizes, right + v * parts * k, err)) != CLV_OK)
            goto out;
        for (size_t p = 0; p < parts; p++) {
            for (size_t i = 0; i < c; i++)
                left[(v * parts + p) * c + i] = columns[i * parts + p];
            terms[v * parts + p] = (term){values[v] * values[v] * sizes[p] * sizes[p], v, p};
        }
    }
out:
    clvi_free(ht);
    clvi_free(u);
    clvi_free(values);
    clvi_free(vt);
    clvi_free(m);
    clvi_free(sizes);
    clvi_free(columns);
    return st;
}

/* The terms of most energy first: s->spectrum, of any number of terms. */
static clv_status make_spectrum(clvi_cp *s, clv_error *err)
{
    const size_t c = s->c, k = s->k, parts = clvi_min_size(c, k), all = clvi_min_size(s->n, s->q) * parts;
    double *left = clvi_alloc_array(all, c * sizeof *left), *right = clvi_alloc_array(all, k * sizeof *right);
    double *spectrum = clvi_alloc_array(all, (c + k) * sizeof *spectrum);
    term *terms = clvi_alloc_array(all, sizeof *terms);
    clv_status st = left && right && spectrum && terms
                        ? split_spectrum(s, parts, left, right, terms, err)
                        : FAIL(err, CLV_ERR_NOMEM, "start of a bottleneck over %zu inputs", s->q);
    if (st == CLV_OK) {
        qsort(terms, all, sizeof *terms, by_energy);
        for (size_t r = 0; r < all; r++) {
            const size_t at = terms[r].vector * parts + terms[r].component;
            memcpy(spectrum + r * (c + k), left + at * c, c * sizeof *spectrum);
            memcpy(spectrum + r * (c + k) + c, right + at * k, k * sizeof *spectrum);
        }
        s->spectrum = spectrum;
        s->terms = all;
        spectrum = NULL;
    }
    clvi_free(left);
    clvi_free(right);
    clvi_free(spectrum);
    clvi_free(terms);
    return st;
}

/* The first terms of the spectrum; where they are too few, the rest at random. */
static clv_status start(clvi_cp *s, double *theta, uint64_t seed, clv_error *err)
{
    clvi_rng rng;
    if (!s->spectrum)
        TRY(make_spectrum(s, err));
    const size_t given = clvi_min_size(s->r, s->terms);
    memcpy(theta, s->spectrum, given * (s->c + s->k) * sizeof *theta);
    clvi_rng_seed_stream(&rng, seed, 0);
    for (size_t r = given; r < s->r; r++) {
        double *row = theta + r * (s->c + s->k);
        for (size_t i = 0; i < s->c; i++)
            row[i] = clvi_rng_normal(&rng) / sqrt((double)s->c);
        for (size_t t = 0; t < s->k; t++)
            row[s->c + t] = clvi_rng_normal(&rng) / sqrt((double)s->k);
    }
    return CLV_OK;
}

clvi_structure clvi_cp_structure(const clvi_cp *s)
{
    return (clvi_structure){s, s->r * (s->c + s->k), project, pull};
}

/* L-BFGS from theta, told the curvature. */
static clv_status descend(const clvi_cp *s, clvi_varpro *v, double *theta, const clvi_fit_opts *opts, int *iterations,
                          clv_context *context, clv_error *err)
{
    clvi_lbfgs_result result;
    clvi_cp_curvature curvature;
    clvi_lbfgs_opts told = clvi_varpro_opts(opts);
    TRY(clvi_cp_curvature_create(&curvature, s, v, err));
    const clvi_curvature guess = clvi_cp_curvature_of(&curvature);
    told.curvature = &guess;
    const clv_status st = clvi_varpro_minimise(v, theta, &told, &result, context, err);
    clvi_cp_curvature_free(&curvature);
    TRY(st);
    *iterations += result.iterations;
    return CLV_OK;
}

static clv_status take_solution(const clvi_cp *s, clvi_varpro *v, const double *theta, double *pt, clv_error *err)
{
    const double *solved = clvi_varpro_solve(v, theta);
    if (!solved)
        return FAIL(err, CLV_ERR_NUMERIC, "the %zu inner channels of a bottleneck became dependent", s->r);
    memcpy(pt, solved, s->r * s->n * sizeof *pt);
    return CLV_OK;
}

/* To the end from theta, and P^T there. */
static clv_status finish(const clvi_cp *s, double total, const clvi_fit_opts *opts, double *theta, double *pt,
                         int *iterations, clv_context *context, clv_error *err)
{
    const clvi_structure structure = clvi_cp_structure(s);
    clvi_varpro *v = NULL;
    TRY(clvi_varpro_create(&v, &structure, s->r, s->q, s->n, total, s->pool, err));
    clv_status st = descend(s, v, theta, opts, iterations, context, err);
    if (st == CLV_OK)
        st = take_solution(s, v, theta, pt, err);
    clvi_varpro_free(v);
    return st;
}

clv_status clvi_cp_resize(clvi_cp *s, size_t r, clv_error *err)
{
    clvi_free(s->bt);
    clvi_free(s->residual);
    s->bt = clvi_alloc_array(r, s->q * sizeof *s->bt);
    s->residual = r > s->n ? clvi_alloc_array(s->n, s->q * sizeof *s->residual) : NULL;
    s->r = r;
    if (s->bt && (s->residual || r <= s->n))
        return CLV_OK;
    return FAIL(err, CLV_ERR_NOMEM, "bottleneck of %zu channels over %zu inputs", r, s->q);
}

clv_status clvi_cp_solve(clvi_cp *s, size_t r, double total, const clvi_fit_opts *opts, double *theta, double *pt,
                         int *iterations, clv_context *context, clv_error *err)
{
    TRY(clvi_cp_resize(s, r, err));
    TRY(start(s, theta, opts->seed, err));
    return finish(s, total, opts, theta, pt, iterations, context, err);
}

/* theta[r] = the terms of theta0[r0] whose removal would lose most. */
static clv_status reduce(clvi_cp *s, double total, const double *theta0, size_t r0, double *theta, size_t r,
                         clv_error *err)
{
    const size_t row = s->c + s->k;
    clvi_varpro *v = NULL;
    TRY(clvi_cp_resize(s, r0, err));
    bool *kept = clvi_alloc_array(r0, sizeof *kept);
    const clvi_structure structure = clvi_cp_structure(s);
    clv_status st = kept ? clvi_varpro_create(&v, &structure, r0, s->q, s->n, total, s->pool, err)
                         : FAIL(err, CLV_ERR_NOMEM, "reduction of %zu inner channels", r0);
    if (st == CLV_OK)
        st = clvi_varpro_reduce(v, theta0, r, kept, err);
    for (size_t a = 0, to = 0; st == CLV_OK && a < r0; a++)
        if (kept[a])
            memcpy(theta + to++ * row, theta0 + a * row, row * sizeof *theta);
    clvi_varpro_free(v);
    clvi_free(kept);
    return st;
}

clv_status clvi_cp_resume(clvi_cp *s, size_t r, double total, const clvi_fit_opts *opts, double *theta0, size_t r0,
                          double *theta, double *pt, int *iterations, clv_context *context, clv_error *err)
{
    if (r0 > r)
        TRY(reduce(s, total, theta0, r0, theta, r, err));
    else
        memcpy(theta, theta0, r0 * (s->c + s->k) * sizeof *theta);
    TRY(clvi_cp_resize(s, r, err));
    return finish(s, total, opts, theta, pt, iterations, context, err);
}

/* rows of x[r, .] times L[n, n]: entry t needs entries t and later alone, so it may be overwritten. */
static void times_lower(double *x, size_t r, size_t ld, const double *l, size_t n)
{
    for (size_t a = 0; a < r; a++)
        for (size_t t = 0; t < n; t++) {
            double sum = 0;
            for (size_t i = t; i < n; i++)
                sum += x[a * ld + i] * l[i * n + t];
            x[a * ld + t] = sum;
        }
}

void clvi_cp_enter(const clvi_cp *s, double *theta, size_t r)
{
    times_lower(theta, r, s->c + s->k, s->lc, s->c);
    times_lower(theta + s->c, r, s->c + s->k, s->lk, s->k);
}

void clvi_cp_leave(const clvi_cp *s, double *theta)
{
    const size_t row = s->c + s->k;
    clvi_solve_lower_right(s->pool, clvi_view_of(s->lc, s->c, s->c, s->c), false, (clvi_out){theta, row}, s->r);
    clvi_solve_lower_right(s->pool, clvi_view_of(s->lk, s->k, s->k, s->k), false, (clvi_out){theta + s->c, row}, s->r);
}
