/* SPDX-License-Identifier: Apache-2.0 */
/* Bottleneck (a CP decomposition of the kernel): pointwise to R channels, one depthwise filter on each, pointwise to
 * the outputs, with nothing between.
 *
 *   W^ = sum_r p_r (q_r (x) d_r)^T,   B_r = q_r (x) d_r,   by variable projection over q[R, c] and d[R, k]
 *
 * The first link runs at the input's resolution: (sh sw c + k + n) R multiply-adds per output position. It has no bias,
 * so the zeros that pad the depthwise link are the images of the zeros that padded the original: borders stay exact. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "decompose/form.h"
#include "decompose/group.h"
#include "decompose/varpro.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

extern const clvi_form clvi_form_bottleneck;

#define RANDOM_STARTS    2
#define TRIAL_ITERATIONS 40 /* of each start, before the best goes on */

static const char *refuses(const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups, k = v->kh * v->kw;
    if (k == 1)
        return "its kernel is 1x1: there is nothing to split";
    if (n * c * k <= v->sh * v->sw * c + k + n)
        return "one inner channel would cost as much as the convolution itself";
    return NULL;
}

static int64_t inner(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups, k = v->kh * v->kw;
    const int64_t r = clvi_fit_size(v, opts, v->sh * v->sw * c + k + n), most = c * k * v->groups;
    return opts->size == 0 && r > most ? most : r > most ? 0 : r;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return inner(v, opts) * (v->sh * v->sw * (v->c / v->groups) + v->kh * v->kw + v->o / v->groups);
}

/* The problem in a space where S is about the identity: x = (Lc (x) Lk) x~, with Lc Lc^T and Lk Lk^T the covariance
 * averaged over taps and over channels. B_r keeps its form there: q~ = Lc^T q, d~ = Lk^T d. */
typedef struct space {
    size_t n, c, k, q, r;
    double *lc, *lk; /* [c, c], [k, k] */
    double *sht;     /* [q, q + n] */
    double *bt;      /* [r, q] scratch: the rows q_r (x) d_r */
    clvi_pool *pool;
} space;

static void space_free(space *s)
{
    clvi_free(s->lc);
    clvi_free(s->lk);
    clvi_free(s->sht);
    clvi_free(s->bt);
    *s = (space){0};
}

/* a[q, width] = (Lc (x) Lk)^-1 a */
static void whiten(const space *s, double *a, size_t width)
{
    for (size_t i = 0; i < s->c; i++)
        clvi_solve_lower(s->pool, clvi_view_of(s->lk, s->k, s->k, s->k), false, (clvi_out){a + i * s->k * width, width},
                         width);
    for (size_t t = 0; t < s->k; t++) /* rows (0, t), (1, t), ... lie k rows apart */
        clvi_solve_lower(s->pool, clvi_view_of(s->lc, s->c, s->c, s->c), false, (clvi_out){a + t * width, s->k * width},
                         width);
}

static void transpose(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            const double t = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = t;
        }
}

static clv_status marginals(space *s, const double *cov, clv_error *err)
{
    const size_t c = s->c, k = s->k, q = s->q;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++)
            for (size_t t = 0; t < k; t++)
                s->lc[i * c + j] += cov[(i * k + t) * q + j * k + t] / (double)k;
    for (size_t t = 0; t < k; t++)
        for (size_t u = 0; u < k; u++)
            for (size_t i = 0; i < c; i++)
                s->lk[t * k + u] += cov[(i * k + t) * q + i * k + u] / (double)c;
    TRY(clvi_cholesky(s->lc, c, c, err));
    return clvi_cholesky(s->lk, k, k, err);
}

static clv_status space_create(space *s, const clvi_group *g, const double *cov, const double *h, size_t r,
                               clv_error *err)
{
    const size_t q = g->q, n = g->n, width = q + n;
    clv_status st;
    double *work = clvi_alloc_array(q, q * sizeof *work), *ht = clvi_alloc_array(q, n * sizeof *ht);
    *s = (space){.n = n, .c = g->c, .k = g->k, .q = q, .r = r, .pool = g->pool};
    s->lc = clvi_calloc(g->c, g->c * sizeof(double));
    s->lk = clvi_calloc(g->k, g->k * sizeof(double));
    s->sht = clvi_alloc_array(q, width * sizeof(double));
    s->bt = clvi_alloc_array(r, q * sizeof(double));
    if (!work || !ht || !s->lc || !s->lk || !s->sht || !s->bt) {
        st = FAIL(err, CLV_ERR_NOMEM, "bottleneck of %zu channels over %zu inputs", r, q);
        goto out;
    }
    if ((st = marginals(s, cov, err)) != CLV_OK)
        goto out;
    memcpy(work, cov, q * q * sizeof *work);
    whiten(s, work, q); /* M S, then M (M S)^T = M S M^T */
    transpose(work, q);
    whiten(s, work, q);
    for (size_t j = 0; j < q; j++)
        for (size_t i = 0; i < n; i++)
            ht[j * n + i] = h[i * q + j];
    whiten(s, ht, n);
    for (size_t j = 0; j < q; j++) {
        memcpy(s->sht + j * width, work + j * q, q * sizeof(double));
        memcpy(s->sht + j * width + q, ht + j * n, n * sizeof(double));
    }
out:
    clvi_free(work);
    clvi_free(ht);
    if (st != CLV_OK)
        space_free(s);
    return st;
}

/* theta: row r is q_r[c] then d_r[k]. */
static void project(const void *self, const double *theta, double *sbct, double *g)
{
    const space *s = self;
    const size_t q = s->q, width = q + s->n;
    for (size_t r = 0; r < s->r; r++) {
        const double *qr = theta + r * (s->c + s->k), *dr = qr + s->c;
        for (size_t i = 0; i < s->c; i++)
            for (size_t t = 0; t < s->k; t++)
                s->bt[r * q + i * s->k + t] = qr[i] * dr[t];
    }
    const clvi_view bt = clvi_view_of(s->bt, s->r, q, q);
    clvi_gemm(s->pool, (clvi_out){sbct, width}, 0, 1, bt, clvi_view_of(s->sht, q, width, width));
    clvi_gemm(s->pool, (clvi_out){g, s->r}, 0, 1, clvi_view_of(sbct, s->r, q, width), clvi_transposed(bt));
}

static void pull(const void *self, const double *theta, const double *pt, const double *ptp, const double *sbct,
                 double *grad)
{
    const space *s = self;
    const size_t q = s->q, n = s->n, width = q + n;
    double *full = s->bt; /* the gradient by B; B itself is needed no more */
    clvi_gemm(s->pool, (clvi_out){full, q}, 0, -2, clvi_view_of(pt, s->r, n, n),
              clvi_transposed(clvi_view_of(s->sht + q, q, n, width)));
    clvi_gemm(s->pool, (clvi_out){full, q}, 1, 2, clvi_view_of(ptp, s->r, s->r, s->r),
              clvi_view_of(sbct, s->r, q, width));
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

/* A start from the spectrum: with H = U s V^T, each right vector V_j seen as a [c, k] matrix is itself a sum of
 * rank-one terms q (x) d; the r of most energy are taken. Starts with too few terms are filled up at random. */
static clv_status spectral_start(const space *s, double *theta, clv_error *err)
{
    const size_t n = s->n, q = s->q, c = s->c, k = s->k, rank = clvi_min_size(n, q), parts = clvi_min_size(c, k);
    clv_status st = CLV_OK;
    double *ht = clvi_alloc_array(q, n * sizeof *ht), *u = clvi_alloc_array(q, rank * sizeof *u);
    double *values = clvi_alloc_array(rank, sizeof *values), *vt = clvi_alloc_array(rank, n * sizeof *vt);
    double *m = clvi_alloc_array(c, k * sizeof *m), *left = clvi_alloc_array(rank * parts, c * sizeof *left);
    double *right = clvi_alloc_array(rank * parts, k * sizeof *right), *sizes = clvi_alloc_array(parts, sizeof *sizes);
    double *columns = clvi_alloc_array(c, parts * sizeof *columns);
    term *terms = clvi_alloc_array(rank * parts, sizeof *terms);
    if (!ht || !u || !values || !vt || !m || !left || !right || !sizes || !columns || !terms) {
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
    qsort(terms, rank * parts, sizeof *terms, by_energy);
    for (size_t r = 0; r < clvi_min_size(s->r, rank * parts); r++) {
        const size_t at = terms[r].vector * parts + terms[r].component;
        memcpy(theta + r * (c + k), left + at * c, c * sizeof *theta);
        memcpy(theta + r * (c + k) + c, right + at * k, k * sizeof *theta);
    }
out:
    clvi_free(ht);
    clvi_free(u);
    clvi_free(values);
    clvi_free(vt);
    clvi_free(m);
    clvi_free(left);
    clvi_free(right);
    clvi_free(sizes);
    clvi_free(columns);
    clvi_free(terms);
    return st;
}

static void random_start(const space *s, double *theta, uint64_t seed, uint64_t stream)
{
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, seed, stream);
    for (size_t r = 0; r < s->r; r++) {
        double *row = theta + r * (s->c + s->k);
        for (size_t i = 0; i < s->c; i++)
            row[i] = clvi_rng_normal(&rng) / sqrt((double)s->c);
        for (size_t t = 0; t < s->k; t++)
            row[s->c + t] = clvi_rng_normal(&rng) / sqrt((double)s->k);
    }
}

/* The best of some starts after a few iterations each, then to the end. theta[r, c + k] and pt[r, n] are written. */
static clv_status solve(space *s, double total, const clvi_fit_opts *opts, double *theta, double *pt, int *iterations,
                        clv_context *context, clv_error *err)
{
    const size_t params = s->r * (s->c + s->k);
    const clvi_structure structure = {s, params, project, pull};
    clvi_lbfgs_opts lbfgs = clvi_lbfgs_opts_default();
    clvi_lbfgs_result result;
    double best = HUGE_VAL;
    clvi_varpro *v = NULL;
    clv_status st = CLV_OK;
    double *trial = clvi_alloc_array(params, sizeof *trial);
    if (!trial)
        return FAIL(err, CLV_ERR_NOMEM, "bottleneck of %zu channels", s->r);
    if ((st = clvi_varpro_create(&v, &structure, s->r, s->q, s->n, total, s->pool, err)) != CLV_OK)
        goto out;
    for (int start = 0; start <= RANDOM_STARTS; start++) {
        random_start(s, trial, opts->seed, (uint64_t)start);
        if (start == 0 && (st = spectral_start(s, trial, err)) != CLV_OK)
            goto out;
        lbfgs.max_iterations = opts->max_iterations < TRIAL_ITERATIONS ? opts->max_iterations : TRIAL_ITERATIONS;
        if ((st = clvi_varpro_minimise(v, trial, &lbfgs, &result, context, err)) != CLV_OK)
            goto out;
        *iterations += result.iterations;
        if (result.f < best) {
            best = result.f;
            memcpy(theta, trial, params * sizeof *theta);
        }
    }
    lbfgs.max_iterations = opts->max_iterations;
    if ((st = clvi_varpro_minimise(v, theta, &lbfgs, &result, context, err)) != CLV_OK)
        goto out;
    *iterations += result.iterations;
    const double *solved = clvi_varpro_solve(v, theta);
    if (!solved) {
        st = FAIL(err, CLV_ERR_NUMERIC, "the %zu inner channels of a bottleneck became dependent", s->r);
        goto out;
    }
    memcpy(pt, solved, s->r * s->n * sizeof *pt);
out:
    clvi_varpro_free(v);
    clvi_free(trial);
    return st;
}

/* Weights of the three links of one group. */
typedef struct product {
    float *reduce;    /* [r, c] */
    float *depthwise; /* [r, k] */
    float *expand;    /* [n, r] */
} product;

static double take_norm(double *v, size_t n)
{
    double norm = 0;
    for (size_t i = 0; i < n; i++)
        norm += v[i] * v[i];
    norm = sqrt(norm);
    for (size_t i = 0; i < n && norm > 0; i++)
        v[i] /= norm;
    return norm;
}

/* Back from the space, unit q_r and d_r, everything else in p_r. */
static void fill(const product *p, const space *s, double *theta, const double *pt)
{
    const size_t c = s->c, k = s->k, row = c + k;
    clvi_solve_lower_right(clvi_view_of(s->lc, c, c, c), false, (clvi_out){theta, row}, s->r);
    clvi_solve_lower_right(clvi_view_of(s->lk, k, k, k), false, (clvi_out){theta + c, row}, s->r);
    for (size_t r = 0; r < s->r; r++) {
        double *qr = theta + r * row, *dr = qr + c;
        const double scale = take_norm(qr, c) * take_norm(dr, k);
        for (size_t i = 0; i < c; i++)
            p->reduce[r * c + i] = (float)qr[i];
        for (size_t t = 0; t < k; t++)
            p->depthwise[r * k + t] = (float)dr[t];
        for (size_t o = 0; o < s->n; o++)
            p->expand[o * s->r + r] = (float)(scale * pt[r * s->n + o]);
    }
}

/* Without data the metric is the identity and the target W itself. */
static clv_status fit_group(const product *p, const clvi_group *g, size_t r, const clvi_fit_opts *opts, int *iterations,
                            clv_context *context, clv_error *err)
{
    const bool data = opts->method != CLVI_METHOD_SVD;
    space s = {0};
    clv_status st = CLV_OK;
    double *identity = NULL, *theta = clvi_alloc_array(r, (g->c + g->k) * sizeof *theta);
    double *pt = clvi_alloc_array(r, g->n * sizeof *pt), total = g->total;
    if (!data) {
        identity = clvi_calloc(g->q, g->q * sizeof *identity);
        total = 0;
        for (size_t j = 0; j < g->n * g->q; j++)
            total += g->w[j] * g->w[j];
        for (size_t j = 0; identity && j < g->q; j++)
            identity[j * g->q + j] = 1;
    }
    if (!theta || !pt || (!data && !identity)) {
        st = FAIL(err, CLV_ERR_NOMEM, "bottleneck of %zu channels", r);
        goto out;
    }
    st = space_create(&s, g, data ? g->s : identity, data ? g->h : g->w, r, err);
    if (st == CLV_OK)
        st = solve(&s, total, opts, theta, pt, iterations, context, err);
    if (st == CLV_OK)
        fill(p, &s, theta, pt);
    space_free(&s);
out:
    clvi_free(identity);
    clvi_free(theta);
    clvi_free(pt);
    return st;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t all = inner(conv, opts);
    const size_t groups = (size_t)conv->groups, n = (size_t)conv->o / groups, c = (size_t)conv->c / groups;
    const size_t k = (size_t)(conv->kh * conv->kw), r = (size_t)all / groups;
    if (all == 0)
        return FAIL(err, CLV_ERR_ARG, "%lld inner channels for %zu inputs of %zu taps in each of %zu groups",
                    (long long)opts->size, c, k, groups);
    if (!cov && opts->method != CLVI_METHOD_SVD)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const product p = {clvi_arena_calloc(arena, (size_t)all, c * sizeof(float)),
                       clvi_arena_calloc(arena, (size_t)all, k * sizeof(float)),
                       clvi_arena_calloc(arena, (size_t)conv->o, r * sizeof(float))};
    if (!p.reduce || !p.depthwise || !p.expand)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld inner channels", (long long)all);
    for (size_t i = 0; i < groups; i++) {
        clvi_group g;
        const product own = {p.reduce + i * r * c, p.depthwise + i * r * k, p.expand + i * n * r};
        TRY(clvi_group_create(&g, conv, i, cov ? &cov[i] : NULL, opts->ridge, context ? context->pool : NULL, err));
        const clv_status st = fit_group(&own, &g, r, opts, &out->iterations, context, err);
        clvi_group_free(&g);
        TRY(st);
    }
    clvi_conv *link = out->chain.link;
    out->chain.n = 3;
    link[0] = clvi_link_pointwise(conv, all, conv->c, p.reduce);
    link[1] = *conv;
    link[1].o = link[1].c = link[1].groups = all;
    link[1].w = p.depthwise;
    link[1].bias = NULL;
    link[2] = clvi_link_pointwise(conv, conv->o, all, p.expand);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, err);
}

const clvi_form clvi_form_bottleneck = {"bottleneck", refuses, macs, fit};
