/* SPDX-License-Identifier: Apache-2.0 */
/* Output-side depthwise decomposition: a pointwise convolution to m channels for each output, then for each output a
 * kernel over its own m channels alone (a grouped convolution, one group an output, which filters and sums at once).
 *
 *   W^_o = sum_j q_oj d_oj^T,   q[c], d[k]:   each output is approximated by itself, in the same metric S
 *
 * With B_o = I_k (x) [q_o1 .. q_om] the best d_o is (B_o^T S B_o)^-1 B_o^T h_o, so d is eliminated and the descent is
 * over all q at once: one product with S serves every output. The first link runs at the input's resolution:
 * (sh sw c + k) n m multiply-adds per output position. It has no bias, so the zeros that pad the second are the images
 * of the zeros that padded the original: borders stay exact. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/form.h"
#include "decompose/group.h"
#include "decompose/kronfit.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

extern const clvi_form clvi_form_output_depthwise;

#define STARTS           2
#define TRIAL_ITERATIONS 15
#define JITTER           1e-13             /* as in varpro.c: filters that have become parallel */
#define SCRATCH          ((size_t)4 << 20) /* doubles: products with S are made for so many outputs at a time */

static int64_t cost(const clvi_conv *v, int64_t m)
{
    return (v->sh * v->sw * (v->c / v->groups) + v->kh * v->kw) * v->o * m;
}

static const char *refuses(const clvi_conv *v)
{
    if (v->kh * v->kw == 1)
        return "its kernel is 1x1: there is nothing to split";
    if (clvi_conv_macs_per_pixel(v) <= cost(v, 1))
        return "one filter per output would cost as much as the convolution itself";
    return NULL;
}

/* Filters per output; 0: the options make no sense. */
static int64_t filters(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t c = v->c / v->groups, k = v->kh * v->kw, most = c < k ? c : k;
    const double limit = opts->multiplier * (double)((v->o / v->groups + k) * v->c);
    int64_t m = 0;
    if (opts->size != 0)
        return opts->size > 0 && opts->size <= most ? opts->size : 0;
    while (m < most && (double)cost(v, m + 1) <= limit)
        m++;
    return m;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return cost(v, filters(v, opts));
}

/* The problem of one group, in the space of clvi_kron: inputs in the order (tap, channel), channels whitened. */
typedef struct problem {
    clvi_kron k; /* p = taps, d = channels */
    size_t n, m, c, t;
    size_t together;  /* outputs whose products with S are held at a time */
    double *h;        /* [n, q] */
    double *products; /* [t, together m, q]: the rows of B^T S */
    double *gram;     /* [t m, t m] */
    double *rest;     /* [q] */
    double *d;        /* [n, t m] the best filters at the last evaluation, tap before filter */
    double *energy;   /* [n] what they explain */
} problem;

static void problem_free(problem *p)
{
    clvi_kron_free(&p->k);
    clvi_free(p->h);
    clvi_free(p->products);
    clvi_free(p->gram);
    clvi_free(p->rest);
    clvi_free(p->d);
    clvi_free(p->energy);
}

static clv_status problem_create(problem *p, const clvi_group *g, size_t m, bool data, clv_error *err)
{
    const size_t q = g->q, n = g->n, t = g->k;
    *p = (problem){.n = n, .m = m, .c = g->c, .t = t};
    TRY(clvi_kron_create(&p->k, g, data, t, n * m, err));
    p->together = clvi_min_size(n, clvi_max_size(1, SCRATCH / (t * m * q)));
    p->h = clvi_alloc_array(n, q * sizeof(double));
    p->products = clvi_alloc_array(t * p->together * m, q * sizeof(double));
    p->gram = clvi_calloc(t * m, t * m * sizeof(double)); /* Cholesky scans the upper triangle, which stays zero */
    p->rest = clvi_alloc_array(q, sizeof(double));
    p->d = clvi_alloc_array(n, t * m * sizeof(double));
    p->energy = clvi_alloc_array(n, sizeof(double));
    if (!p->h || !p->products || !p->gram || !p->rest || !p->d || !p->energy) {
        problem_free(p);
        return FAIL(err, CLV_ERR_NOMEM, "%zu filters on each of %zu outputs", m, n);
    }
    for (size_t j = 0; j < q; j++)
        for (size_t i = 0; i < n; i++)
            p->h[i * q + j] = p->k.sht[j * (q + n) + q + i];
    return CLV_OK;
}

static double dot(const double *a, const double *b, size_t n)
{
    return clvi_dot(clvi_view_of(a, 1, n, n), clvi_view_of(b, 1, n, n));
}

/* d of output o, from q[m, c] and its rows of B^T S, which lie `stride` rows apart from tap to tap. False when its
 * filters are dependent. */
static bool solve_output(problem *p, size_t o, const double *q, const double *products, size_t stride)
{
    const size_t m = p->m, c = p->c, all = p->k.q, size = p->t * m;
    double *d = p->d + o * size;
    for (size_t t = 0; t < p->t; t++)
        for (size_t j = 0; j < m; j++) {
            const double *row = products + (t * stride + j) * all;
            double *to = p->gram + (t * m + j) * size;
            for (size_t u = 0; u <= t; u++)
                for (size_t l = 0; l < m; l++)
                    to[u * m + l] = dot(row + u * c, q + l * c, c);
            to[t * m + j] = to[t * m + j] > 0 ? to[t * m + j] * (1 + JITTER) : 1;
            d[t * m + j] = dot(p->h + o * all + t * c, q + j * c, c);
        }
    if (clvi_cholesky(p->gram, size, size, NULL) != CLV_OK)
        return false;
    const clvi_view l = clvi_view_of(p->gram, size, size, size);
    clvi_solve_lower(NULL, l, false, (clvi_out){d, 1}, 1);
    p->energy[o] = dot(d, d, size);
    clvi_solve_lower(NULL, l, true, (clvi_out){d, 1}, 1);
    return true;
}

/* grad[m, c] of output o: -2 d (h - d B^T S), block by block. */
static void pull_output(problem *p, size_t o, const double *products, size_t stride, double *grad)
{
    const size_t m = p->m, c = p->c, all = p->k.q;
    const double *d = p->d + o * p->t * m;
    memcpy(p->rest, p->h + o * all, all * sizeof(double));
    for (size_t t = 0; t < p->t; t++)
        for (size_t j = 0; j < m; j++)
            clvi_axpy(all, -d[t * m + j], products + (t * stride + j) * all, p->rest);
    memset(grad, 0, m * c * sizeof *grad);
    for (size_t t = 0; t < p->t; t++)
        for (size_t j = 0; j < m; j++)
            clvi_axpy(c, -2 * d[t * m + j] / p->k.total, p->rest + t * c, grad + j * c);
}

/* f(q) / total, q[n, m, c]: a clvi_objective. */
static double evaluate(void *self, const double *q, double *grad)
{
    problem *p = self;
    const size_t m = p->m, c = p->c, all = p->k.q, width = all + p->n;
    double energy = 0;
    for (size_t first = 0; first < p->n; first += p->together) {
        const size_t rows = clvi_min_size(p->together, p->n - first) * m;
        for (size_t t = 0; t < p->t; t++)
            clvi_gemm(p->k.pool, (clvi_out){p->products + t * rows * all, all}, 0, 1,
                      clvi_view_of(q + first * m * c, rows, c, c),
                      clvi_view_of(p->k.sht + t * c * width, c, all, width));
        for (size_t o = first; o < first + rows / m; o++) {
            const double *own = p->products + (o - first) * m * all;
            if (!solve_output(p, o, q + o * m * c, own, rows))
                return HUGE_VAL;
            pull_output(p, o, own, rows, grad + o * m * c);
            energy += p->energy[o];
        }
    }
    return 1 - energy / p->k.total;
}

/* axes[t, t]: the Cholesky factor of the covariance between taps, averaged over the channels. */
static clv_status tap_metric(const problem *p, double *axes, clv_error *err)
{
    const size_t c = p->c, t = p->t, width = p->k.q + p->n;
    memset(axes, 0, t * t * sizeof *axes);
    for (size_t a = 0; a < t; a++)
        for (size_t b = 0; b < t; b++)
            for (size_t i = 0; i < c; i++)
                axes[a * t + b] += p->k.sht[(a * c + i) * width + b * c + i] / (double)c;
    for (size_t a = 0; a < t; a++)
        for (size_t b = a + 1; b < t; b++)
            axes[a * t + b] = 0;
    return clvi_cholesky(axes, t, t, err);
}

/* Start 0: q_o spans the leading singular vectors of W*_o [t, c], weighted by the metric of the taps; start 1: those of
 * h_o, which has the metric in it already. */
static clv_status start(const problem *p, int number, double *q, clv_error *err)
{
    const size_t c = p->c, t = p->t, n = p->n, all = p->k.q, width = all + n, rank = clvi_min_size(c, t);
    double *target = clvi_alloc_array(n, all * sizeof *target), *s = clvi_alloc_array(all, all * sizeof *s);
    double *axes = clvi_alloc_array(t, t * sizeof *axes), *weighted = clvi_alloc_array(t, c * sizeof *weighted);
    double *u = clvi_alloc_array(t, rank * sizeof *u), *values = clvi_alloc_array(rank, sizeof *values);
    double *vt = clvi_alloc_array(rank, c * sizeof *vt);
    clv_status st = CLV_OK;
    if (!target || !s || !axes || !weighted || !u || !values || !vt) {
        st = FAIL(err, CLV_ERR_NOMEM, "start of %zu filters on each of %zu outputs", p->m, n);
        goto out;
    }
    memcpy(target, p->h, n * all * sizeof *target);
    for (size_t j = 0; j < all; j++)
        memcpy(s + j * all, p->k.sht + j * width, all * sizeof *s);
    if ((st = tap_metric(p, axes, err)) != CLV_OK ||
        (number == 0 && (st = clvi_solve_spd(p->k.pool, s, all, target, n, err)) != CLV_OK))
        goto out;
    const clvi_view l = clvi_view_of(axes, t, t, t);
    for (size_t o = 0; o < n; o++) {
        const clvi_view own = clvi_view_of(target + o * all, t, c, c);
        if (number == 0) {
            clvi_gemm(NULL, (clvi_out){weighted, c}, 0, 1, clvi_transposed(l), own);
        } else {
            memcpy(weighted, own.p, all * sizeof *weighted);
            clvi_solve_lower(NULL, l, false, (clvi_out){weighted, c}, c);
        }
        if ((st = clvi_svd(weighted, t, c, u, values, vt, err)) != CLV_OK)
            goto out;
        memcpy(q + o * p->m * c, vt, p->m * c * sizeof *q);
    }
out:
    clvi_free(target);
    clvi_free(s);
    clvi_free(axes);
    clvi_free(weighted);
    clvi_free(u);
    clvi_free(values);
    clvi_free(vt);
    return st;
}

/* Filters for each output of a chain to start from; 0: it is not one of at least m for this convolution. */
static size_t start_size(const clvi_conv *v, const clvi_chain *chain, size_t m)
{
    const clvi_conv *first = &chain->link[0], *second = &chain->link[1];
    const bool fits = chain->n == 2 && first->c == v->c && first->groups == v->groups && first->kh * first->kw == 1 &&
                      first->o % v->o == 0 && second->c == first->o && second->o == v->o && second->groups == v->o &&
                      second->kh == v->kh && second->kw == v->kw;
    return fits && (size_t)(first->o / v->o) >= m ? (size_t)(first->o / v->o) : 0;
}

/* q[n, m, c] from group number `group` of a chain with m0 filters for each output, in the space: the leading right
 * singular vectors of each output's kernel [t, c], as long as their singular values. */
static clv_status resume(const problem *p, const clvi_chain *chain, size_t group, size_t m0, double *q, clv_error *err)
{
    const size_t c = p->c, t = p->t, rank = clvi_min_size(c, t);
    double *rows = clvi_alloc_array(m0, c * sizeof *rows), *kernels = clvi_alloc_array(m0, t * sizeof *kernels);
    double *whole = clvi_alloc_array(t, c * sizeof *whole), *u = clvi_alloc_array(t, rank * sizeof *u);
    double *values = clvi_alloc_array(rank, sizeof *values), *vt = clvi_alloc_array(rank, c * sizeof *vt);
    clv_status st = CLV_OK;
    if (!rows || !kernels || !whole || !u || !values || !vt)
        st = FAIL(err, CLV_ERR_NOMEM, "start from %zu filters for each output", m0);
    for (size_t o = 0; o < p->n && st == CLV_OK; o++) {
        const size_t at = (group * p->n + o) * m0;
        for (size_t j = 0; j < m0 * c; j++)
            rows[j] = (double)chain->link[0].w[at * c + j];
        for (size_t j = 0; j < m0 * t; j++)
            kernels[j] = (double)chain->link[1].w[at * t + j];
        clvi_kron_enter(&p->k, rows, m0);
        clvi_gemm(NULL, (clvi_out){whole, c}, 0, 1, clvi_transposed(clvi_view_of(kernels, m0, t, t)),
                  clvi_view_of(rows, m0, c, c));
        st = clvi_svd(whole, t, c, u, values, vt, err);
        for (size_t j = 0; j < p->m * c && st == CLV_OK; j++)
            q[o * p->m * c + j] = vt[j] * (values[0] > 0 ? fmax(values[j / c] / values[0], 1e-3) : 1);
    }
    clvi_free(rows);
    clvi_free(kernels);
    clvi_free(whole);
    clvi_free(u);
    clvi_free(values);
    clvi_free(vt);
    return st;
}

/* L-BFGS over all outputs to the end. Leaves p->d for it. */
static clv_status descend(problem *p, double *q, const clvi_fit_opts *opts, int *iterations, clv_context *context,
                          clv_error *err)
{
    const size_t params = p->n * p->m * p->c;
    const clvi_lbfgs_opts solver = clvi_varpro_opts(opts);
    clvi_lbfgs_result result;
    double *grad = clvi_alloc_array(params, sizeof *grad);
    if (!grad)
        return FAIL(err, CLV_ERR_NOMEM, "%zu filters on each of %zu outputs", p->m, p->n);
    clv_status st = clvi_lbfgs(q, params, evaluate, p, &solver, &result, context, err);
    *iterations += result.iterations;
    if (st == CLV_OK && !isfinite(evaluate(p, q, grad)))
        st = FAIL(err, CLV_ERR_NUMERIC, "the %zu filters of an output became dependent", p->m);
    clvi_free(grad);
    return st;
}

/* q[n, m, c]: of each output the better start after a few iterations, then all to the end. */
static clv_status solve(problem *p, double *q, const clvi_fit_opts *opts, int *iterations, clv_context *context,
                        clv_error *err)
{
    const size_t own = p->m * p->c, params = p->n * own;
    clvi_lbfgs_opts few = clvi_varpro_opts(opts);
    clvi_lbfgs_result result;
    clv_status st = CLV_OK;
    double *trial = clvi_alloc_array(2, params * sizeof *trial), *best = clvi_calloc(p->n, sizeof *best);
    if (!trial || !best) {
        st = FAIL(err, CLV_ERR_NOMEM, "%zu filters on each of %zu outputs", p->m, p->n);
        goto out;
    }
    double *grad = trial + params;
    const int starts = opts->starts == 1 ? 1 : STARTS;
    if (starts == 1)
        few.max_iterations = 0;
    else if (few.max_iterations > TRIAL_ITERATIONS)
        few.max_iterations = TRIAL_ITERATIONS;
    for (int number = 0; number < starts; number++) {
        if ((st = start(p, number, trial, err)) != CLV_OK ||
            (st = clvi_lbfgs(trial, params, evaluate, p, &few, &result, context, err)) != CLV_OK)
            goto out;
        *iterations += result.iterations;
        (void)evaluate(p, trial, grad);
        for (size_t o = 0; o < p->n; o++)
            if (number == 0 || p->energy[o] > best[o]) {
                best[o] = p->energy[o];
                memcpy(q + o * own, trial + o * own, own * sizeof *q);
            }
    }
    st = descend(p, q, opts, iterations, context, err);
out:
    clvi_free(trial);
    clvi_free(best);
    return st;
}

/* pointwise[n m, c] with rows of unit length, kernels[n, m, t]. q leaves the space. */
static void fill(float *pointwise, float *kernels, const problem *p, double *q)
{
    const size_t c = p->c, m = p->m;
    clvi_solve_lower_right(NULL, clvi_view_of(p->k.l, c, c, c), false, (clvi_out){q, c}, p->n * m);
    for (size_t row = 0; row < p->n * m; row++) {
        const double length = sqrt(dot(q + row * c, q + row * c, c));
        for (size_t i = 0; i < c; i++)
            pointwise[row * c + i] = (float)(length > 0 ? q[row * c + i] / length : 0);
        for (size_t t = 0; t < p->t; t++)
            kernels[row * p->t + t] = (float)(length * p->d[(row / m * p->t + t) * m + row % m]);
    }
}

/* Where a group is to be found in the chain to start from; m0 = 0: there is none. */
typedef struct origin {
    size_t group, m0;
} origin;

static clv_status fit_group(float *pointwise, float *kernels, const clvi_group *g, size_t m, origin from,
                            const clvi_fit_opts *opts, int *iterations, clv_context *context, clv_error *err)
{
    problem p;
    double *q = clvi_alloc_array(g->n * m, g->c * sizeof *q);
    if (!q)
        return FAIL(err, CLV_ERR_NOMEM, "%zu filters on each of %zu outputs", m, g->n);
    clv_status st = problem_create(&p, g, m, opts->method != CLVI_METHOD_SVD, err);
    if (st == CLV_OK) {
        st = from.m0 > 0 ? resume(&p, opts->start, from.group, from.m0, q, err)
                         : solve(&p, q, opts, iterations, context, err);
        if (st == CLV_OK && from.m0 > 0)
            st = descend(&p, q, opts, iterations, context, err);
        if (st == CLV_OK)
            fill(pointwise, kernels, &p, q);
        problem_free(&p);
    }
    clvi_free(q);
    return st;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const size_t m = (size_t)filters(conv, opts), groups = (size_t)conv->groups, n = (size_t)conv->o / groups;
    const size_t c = (size_t)conv->c / groups, k = (size_t)(conv->kh * conv->kw);
    if (m == 0)
        return FAIL(err, CLV_ERR_ARG, "%lld filters for each output, of %zu inputs of %zu taps", (long long)opts->size,
                    c, k);
    if (!cov && opts->method != CLVI_METHOD_SVD)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const size_t m0 = opts->start ? start_size(conv, opts->start, m) : 0;
    if (opts->start && m0 == 0)
        return FAIL(err, CLV_ERR_ARG, "the chain to start from is not an output-depthwise one of %zu filters or more",
                    m);
    float *pointwise = clvi_arena_calloc(arena, (size_t)conv->o * m, c * sizeof(float));
    float *kernels = clvi_arena_calloc(arena, (size_t)conv->o * m, k * sizeof(float));
    if (!pointwise || !kernels)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %zu filters for each of %lld outputs", m, (long long)conv->o);
    for (size_t i = 0; i < groups; i++) {
        clvi_group g;
        TRY(clvi_group_create(&g, conv, i, cov ? &cov[i] : NULL, opts->ridge, context ? context->pool : NULL, err));
        const clv_status st = fit_group(pointwise + i * n * m * c, kernels + i * n * m * k, &g, m, (origin){i, m0},
                                        opts, &out->iterations, context, err);
        clvi_group_free(&g);
        TRY(st);
    }
    clvi_conv *second = &out->chain.link[1];
    out->chain.n = 2;
    out->chain.link[0] = clvi_link_pointwise(conv, conv->o * (int64_t)m, conv->c, pointwise);
    *second = *conv;
    second->c = conv->o * (int64_t)m;
    second->groups = conv->o;
    second->w = kernels;
    second->bias = NULL;
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_output_depthwise = {"output-depthwise", true, 7, refuses, macs, fit};
