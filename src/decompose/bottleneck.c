/* SPDX-License-Identifier: Apache-2.0 */
/* Bottleneck (a CP decomposition of the kernel): pointwise to R channels, one depthwise filter on each, pointwise to
 * the outputs, with nothing between.
 *
 *   W^ = sum_r p_r (q_r (x) d_r)^T,   B_r = q_r (x) d_r,   by variable projection over q[R, c] and d[R, k]
 *
 * The first link runs at the input's resolution: (sh sw c + k + n) R multiply-adds per output position. It has no bias,
 * so the zeros that pad the depthwise link are the images of the zeros that padded the original: borders stay exact. */
#include <math.h>

#include "base/mem.h"
#include "decompose/cpfit.h"
#include "decompose/form.h"
#include "decompose/group.h"

extern const clvi_form clvi_form_bottleneck;

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
static void fill(const product *p, const clvi_cp *s, double *theta, const double *pt)
{
    const size_t c = s->c, k = s->k, row = c + k;
    clvi_cp_leave(s, theta);
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

/* Inner channels in each group of a chain to start from; 0: it is not one of at least r for this convolution. */
static size_t start_size(const clvi_conv *v, const clvi_chain *chain, size_t r)
{
    const clvi_conv *reduce = &chain->link[0], *dw = &chain->link[1], *expand = &chain->link[2];
    const int64_t all = reduce->o;
    const bool fits = chain->n == 3 && reduce->c == v->c && reduce->groups == v->groups && all % v->groups == 0 &&
                      dw->o == all && dw->groups == all && dw->kh == v->kh && dw->kw == v->kw && expand->o == v->o &&
                      expand->c == all && expand->groups == v->groups && expand->kh * expand->kw == 1;
    return fits && (size_t)(all / v->groups) >= r ? (size_t)(all / v->groups) : 0;
}

/* theta[r0, c + k] of group number `group` of a chain. */
static void unfill(double *theta, const clvi_chain *chain, size_t group, size_t r0, size_t c, size_t k)
{
    for (size_t r = 0; r < r0; r++) {
        const size_t at = group * r0 + r;
        for (size_t i = 0; i < c; i++)
            theta[r * (c + k) + i] = (double)chain->link[0].w[at * c + i];
        for (size_t t = 0; t < k; t++)
            theta[r * (c + k) + c + t] = (double)chain->link[1].w[at * k + t];
    }
}

/* The problem of one group, whatever the size: its space and the objective at W^ = 0. */
typedef struct problem {
    clvi_cp space;
    double total;
} problem;

static void release_problem(void *item)
{
    problem *p = item;
    clvi_cp_free(&p->space);
}

/* Without data the metric is the identity and the target W itself. */
static clv_status make_problem(void *item, clvi_group *g, bool data, clv_error *err)
{
    problem *p = item;
    if (data) {
        p->total = g->total;
        return clvi_cp_create(&p->space, g, g->s, g->h, err);
    }
    double *identity = clvi_calloc(g->q, g->q * sizeof *identity);
    if (!identity)
        return FAIL(err, CLV_ERR_NOMEM, "bottleneck over %zu inputs", g->q);
    p->total = 0;
    for (size_t j = 0; j < g->n * g->q; j++)
        p->total += g->w[j] * g->w[j];
    for (size_t j = 0; j < g->q; j++)
        identity[j * g->q + j] = 1;
    const clv_status st = clvi_cp_create(&p->space, g, identity, g->w, err);
    clvi_free(identity);
    return st;
}

static const clvi_memo_kind problems = {sizeof(problem), make_problem, release_problem};

/* r inner channels of one group, from the chain's r0 of them when that is not 0. */
static clv_status fit_group(const product *to, problem *p, size_t group, size_t r, size_t r0, const clvi_fit_opts *opts,
                            int *iterations, clv_context *context, clv_error *err)
{
    clvi_cp *const s = &p->space;
    double *theta = clvi_alloc_array(r, (s->c + s->k) * sizeof *theta);
    double *theta0 = clvi_alloc_array(r0, (s->c + s->k) * sizeof *theta0);
    double *pt = clvi_alloc_array(r, s->n * sizeof *pt);
    clv_status st;
    if (!theta || !theta0 || !pt) {
        st = FAIL(err, CLV_ERR_NOMEM, "bottleneck of %zu channels", r);
        goto out;
    }
    if (r0 > 0) {
        unfill(theta0, opts->start, group, r0, s->c, s->k);
        clvi_cp_enter(s, theta0, r0);
        st = clvi_cp_resume(s, r, p->total, opts, theta0, r0, theta, pt, iterations, context, err);
    } else
        st = clvi_cp_solve(s, r, p->total, opts, theta, pt, iterations, context, err);
    if (st == CLV_OK)
        fill(to, s, theta, pt);
out:
    clvi_free(theta);
    clvi_free(theta0);
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
    const size_t r0 = opts->start ? start_size(conv, opts->start, r) : 0;
    if (opts->start && r0 == 0)
        return FAIL(err, CLV_ERR_ARG, "the chain to start from is not a bottleneck of %lld channels or more",
                    (long long)all);
    const product p = {clvi_arena_calloc(arena, (size_t)all, c * sizeof(float)),
                       clvi_arena_calloc(arena, (size_t)all, k * sizeof(float)),
                       clvi_arena_calloc(arena, (size_t)conv->o, r * sizeof(float))};
    if (!p.reduce || !p.depthwise || !p.expand)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld inner channels", (long long)all);
    clvi_memo own = {0}, *memo = opts->memo ? opts->memo : &own;
    clvi_pool *const pool = context ? context->pool : NULL;
    clv_status st = CLV_OK;
    for (size_t i = 0; st == CLV_OK && i < groups; i++) {
        const product to = {p.reduce + i * r * c, p.depthwise + i * r * k, p.expand + i * n * r};
        void *item;
        st = clvi_memo_item(&item, memo, &problems, conv, i, cov, opts, pool, err);
        if (st == CLV_OK)
            st = fit_group(&to, item, i, r, r0, opts, &out->iterations, context, err);
    }
    clvi_memo_free(&own);
    TRY(st);
    clvi_conv *link = out->chain.link;
    out->chain.n = 3;
    link[0] = clvi_link_pointwise(conv, all, conv->c, p.reduce);
    link[1] = *conv;
    link[1].o = link[1].c = link[1].groups = all;
    link[1].w = p.depthwise;
    link[1].bias = NULL;
    link[2] = clvi_link_pointwise(conv, conv->o, all, p.expand);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_bottleneck = {"bottleneck", false, 25, refuses, macs, fit};
