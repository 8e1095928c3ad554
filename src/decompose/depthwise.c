/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise decomposition: a depthwise convolution with some filters on each input channel, then a pointwise one.
 *
 *   W_i ~ P_i D_i^T:   (n + k) sum m_i multiply-adds per output position instead of n c k
 *
 * The original's strides, pads and dilations go to the depthwise link, its bias to the pointwise one. Groups stay: both
 * links work inside the channels of one group of the original. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/dwfit.h"
#include "decompose/dwjoint.h"
#include "decompose/dwuneven.h"
#include "decompose/form.h"

extern const clvi_form clvi_form_depthwise;

#define SWEEPS          50
#define SWEEP_TOLERANCE 1e-4 /* relative; the joint fit goes on from there */
#define OVERSIZE        2.5  /* uneven multipliers: filters at the start of the pruning, relative to those wanted */

static const char *refuses(const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, k = v->kh * v->kw;
    if (k == 1)
        return "its kernel is 1x1: there is nothing to split";
    if (v->c == v->groups && v->groups > 1)
        return "it is depthwise already";
    if (n * k <= n + k)
        return "one filter per input channel would cost as much as the convolution itself";
    return NULL;
}

/* Filters in each group; 0: the multiplier makes no sense. */
static size_t filters_per_group(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups, cap = n < v->kh * v->kw ? n : v->kh * v->kw;
    const double m = opts->multiplier;
    if (!(m > 0) || !isfinite(m) || (!opts->uneven && m != floor(m)))
        return 0;
    const double total = m >= (double)cap ? (double)(cap * c) : floor(m * (double)c + 0.5);
    return total < 1 ? 1 : (size_t)total;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return (int64_t)filters_per_group(v, opts) * v->groups * (v->o / v->groups + v->kh * v->kw);
}

/* The fit of one group, and the best candidate so far by the true error. */
typedef struct work {
    clvi_group g;
    const clvi_fit_opts *opts;
    size_t total;
    clvi_dw_space space;
    double *target; /* [n, q] W* */
    double *what;   /* [n, q] */
    clvi_dw best;
    double error;
    bool fitted;
    int iterations;
    clv_context *context;
} work;

static void work_free(work *w)
{
    clvi_group_free(&w->g);
    clvi_dw_space_free(&w->space);
    clvi_dw_free(&w->best);
    clvi_free(w->target);
    clvi_free(w->what);
}

/* dw (not in the space) becomes the best when it is; takes. */
static void consider(work *w, clvi_dw *dw)
{
    clvi_dw_normalise(dw);
    clvi_dw_expand(dw, w->what);
    const double error = clvi_group_error(&w->g, w->what);
    if (!w->fitted || error < w->error) {
        clvi_dw_free(&w->best);
        w->best = *dw;
        w->error = error;
        w->fitted = true;
        *dw = (clvi_dw){0};
    }
    clvi_dw_free(dw);
}

static clv_status copy_best(const work *w, clvi_dw *out, clv_error *err)
{
    size_t *filters = clvi_alloc_array(w->g.c, sizeof *filters);
    if (!filters)
        return FAIL(err, CLV_ERR_NOMEM, "filters of %zu channels", w->g.c);
    for (size_t i = 0; i < w->g.c; i++)
        filters[i] = w->best.first[i + 1] - w->best.first[i];
    const clv_status st = clvi_dw_create(out, &w->g, filters, err);
    clvi_free(filters);
    TRY(st);
    memcpy(out->d, w->best.d, out->total * out->k * sizeof(double));
    memcpy(out->pt, w->best.pt, out->total * out->n * sizeof(double));
    return CLV_OK;
}

/* One of the closed-form methods as a candidate. */
static clv_status try_closed(work *w, clvi_method method, const size_t *filters, clv_error *err)
{
    clvi_dw dw;
    clv_status st;
    TRY(clvi_dw_create(&dw, &w->g, filters, err));
    if (method == CLVI_METHOD_SVD)
        st = clvi_dw_svd(&dw, &w->g, err);
    else if (method == CLVI_METHOD_GSVD)
        st = clvi_dw_gsvd(&dw, &w->space, w->target, err);
    else
        st = clvi_dw_inter_channel(&dw, &w->space, err);
    if (st != CLV_OK) {
        clvi_dw_free(&dw);
        return st;
    }
    if (method != CLVI_METHOD_SVD)
        clvi_dw_leave(&w->space, &dw);
    consider(w, &dw);
    return CLV_OK;
}

/* Sweeps or the joint fit from the best so far, as a candidate. */
static clv_status try_from_best(work *w, clvi_method method, clv_error *err)
{
    clvi_dw dw;
    clv_status st;
    const clvi_lbfgs_opts solver = clvi_varpro_opts(w->opts);
    TRY(copy_best(w, &dw, err));
    clvi_dw_enter(&w->space, &dw);
    if (method == CLVI_METHOD_SWEEPS)
        st = clvi_dw_sweeps(&dw, &w->space, SWEEPS, SWEEP_TOLERANCE, w->context, err);
    else
        st = clvi_dw_joint(&dw, &w->space, &solver, NULL, &w->iterations, w->context, err);
    if (st != CLV_OK) {
        clvi_dw_free(&dw);
        return st;
    }
    clvi_dw_leave(&w->space, &dw);
    consider(w, &dw);
    return CLV_OK;
}

static clv_status fit_filters(work *w, const size_t *filters, clv_error *err)
{
    const clvi_method method = w->opts->method;
    if (method <= CLVI_METHOD_INTER_CHANNEL)
        return try_closed(w, method, filters, err);
    if (method == CLVI_METHOD_JOINT && w->opts->starts == 1) {
        TRY(try_closed(w, CLVI_METHOD_GSVD, filters, err));
        return try_from_best(w, CLVI_METHOD_JOINT, err);
    }
    for (int start = CLVI_METHOD_SVD; start <= CLVI_METHOD_INTER_CHANNEL; start++)
        TRY(try_closed(w, (clvi_method)start, filters, err));
    TRY(try_from_best(w, CLVI_METHOD_SWEEPS, err));
    return method == CLVI_METHOD_JOINT ? try_from_best(w, CLVI_METHOD_JOINT, err) : CLV_OK;
}

/* The joint fit that finds its own allocation, as a candidate. */
static clv_status try_pruned(work *w, size_t *filters, clv_error *err)
{
    const size_t cap = clvi_min_size(w->g.k, w->g.n), c = w->g.c;
    const size_t wide = clvi_min_size(cap, (size_t)ceil(OVERSIZE * (double)w->total / (double)c));
    const clvi_lbfgs_opts solver = clvi_varpro_opts(w->opts);
    clvi_dw dw;
    clv_status st;
    for (size_t i = 0; i < c; i++)
        filters[i] = wide;
    TRY(clvi_dw_create(&dw, &w->g, filters, err));
    if ((st = clvi_dw_gsvd(&dw, &w->space, w->target, err)) != CLV_OK ||
        (st = clvi_dw_prune(&dw, &w->space, w->total, &solver, &w->iterations, w->context, err)) != CLV_OK) {
        clvi_dw_free(&dw);
        return st;
    }
    clvi_dw_leave(&w->space, &dw);
    consider(w, &dw);
    return CLV_OK;
}

/* Filters in each group of a chain to start from; 0: it is not one of at least `total` for this convolution. */
static size_t start_size(const clvi_conv *v, const clvi_chain *chain, size_t total)
{
    const clvi_conv *dw = &chain->link[0], *pw = &chain->link[1];
    const bool fits = chain->n == 2 && dw->kh == v->kh && dw->kw == v->kw && dw->groups == dw->c &&
                      dw->o % v->groups == 0 && (chain->gather[0] ? dw->c == dw->o : dw->c == v->c) && pw->c == dw->o &&
                      pw->o == v->o && pw->groups == v->groups && pw->kh * pw->kw == 1;
    return fits && (size_t)(dw->o / v->groups) >= total ? (size_t)(dw->o / v->groups) : 0;
}

/* Group number `group` of the chain, as filters of this group's channels. CLV_ERR_ARG: some are not. */
static clv_status unfill(clvi_dw *dw, const clvi_group *g, const clvi_chain *chain, size_t group, size_t m0,
                         clv_error *err)
{
    size_t *filters = clvi_calloc(g->c, sizeof *filters), last = 0;
    clv_status st = CLV_OK;
    *dw = (clvi_dw){0};
    if (!filters)
        return FAIL(err, CLV_ERR_NOMEM, "filters of %zu channels", g->c);
    for (size_t a = 0; a < m0 && st == CLV_OK; a++) {
        const int32_t *gather = chain->gather[0] ? chain->gather[0] + group * m0 : NULL;
        const size_t i = gather ? (size_t)gather[a] - group * g->c : a / (m0 / g->c);
        if (i >= g->c || i < last || ++filters[i] > clvi_min_size(g->k, g->n))
            st = FAIL(err, CLV_ERR_ARG, "filter %zu of the chain to start from is none of %zu channels'", a, g->c);
        last = i;
    }
    if (st == CLV_OK)
        st = clvi_dw_create(dw, g, filters, err);
    for (size_t j = 0; j < m0 * g->k && st == CLV_OK; j++)
        dw->d[j] = (double)chain->link[0].w[group * m0 * g->k + j];
    for (size_t j = 0; j < m0 * g->n && st == CLV_OK; j++)
        dw->pt[j] = (double)chain->link[1].w[(group * g->n + j % g->n) * m0 + j / g->n];
    clvi_free(filters);
    return st;
}

/* The joint fit from the chain given, with the filters of least loss removed: of all, or of each channel. */
static clv_status resume(work *w, size_t group, size_t m0, clv_error *err)
{
    const clvi_lbfgs_opts solver = clvi_varpro_opts(w->opts);
    clvi_dw dw;
    TRY(unfill(&dw, &w->g, w->opts->start, group, m0, err));
    clvi_dw_enter(&w->space, &dw);
    clv_status st = clvi_dw_reduce(&dw, &w->space, w->total, !w->opts->uneven, w->context, err);
    if (st == CLV_OK)
        st = clvi_dw_joint(&dw, &w->space, &solver, NULL, &w->iterations, w->context, err);
    if (st != CLV_OK) {
        clvi_dw_free(&dw);
        return st;
    }
    clvi_dw_leave(&w->space, &dw);
    consider(w, &dw);
    return CLV_OK;
}

static clv_status fit_work(work *w, clv_error *err)
{
    const size_t c = w->g.c;
    const bool quick = w->opts->starts == 1 && w->opts->method == CLVI_METHOD_JOINT;
    const bool even = w->total % c == 0 && !(quick && w->opts->uneven), data = w->opts->method != CLVI_METHOD_SVD;
    size_t *filters = clvi_alloc_array(c, sizeof *filters);
    clv_status st = CLV_OK;
    if (!filters)
        return FAIL(err, CLV_ERR_NOMEM, "filters of %zu channels", c);
    if (even) {
        for (size_t i = 0; i < c; i++)
            filters[i] = w->total / c;
        st = fit_filters(w, filters, err);
    }
    if (st == CLV_OK && w->opts->uneven) {
        st = clvi_dw_allocate(filters, &w->g, data ? w->target : w->g.w, data ? &w->space : NULL, w->total, err);
        if (st == CLV_OK)
            st = fit_filters(w, filters, err);
        if (st == CLV_OK && w->opts->method == CLVI_METHOD_JOINT && !quick)
            st = try_pruned(w, filters, err);
    }
    clvi_free(filters);
    return st;
}

/* m0: filters of the group in the chain to start from, 0: none. */
static clv_status fit_group(work *w, const clvi_conv *conv, size_t group, size_t m0, const clvi_covariance *cov,
                            clv_error *err)
{
    TRY(clvi_group_create(&w->g, conv, group, cov, w->opts->ridge, w->context ? w->context->pool : NULL, err));
    w->what = clvi_alloc_array(w->g.n, w->g.q * sizeof(double));
    if (!w->what)
        return FAIL(err, CLV_ERR_NOMEM, "%zu weights", w->g.n * w->g.q);
    if (w->opts->method != CLVI_METHOD_SVD) {
        w->target = clvi_alloc_array(w->g.n, w->g.q * sizeof(double));
        if (!w->target)
            return FAIL(err, CLV_ERR_NOMEM, "%zu weights", w->g.n * w->g.q);
        TRY(clvi_dw_space_create(&w->space, &w->g, err));
        if (m0 > 0)
            return resume(w, group, m0, err);
        TRY(clvi_group_target(&w->g, w->target, err));
    }
    return fit_work(w, err);
}

/* Two links with room for the filters of all groups; gather is NULL when every channel has the same number. */
typedef struct product {
    float *depthwise, *pointwise;
    int32_t *gather;
} product;

static clv_status chain_create(clvi_chain *chain, product *p, const clvi_conv *v, size_t total, clvi_arena *arena,
                               clv_error *err)
{
    const size_t all = total * (size_t)v->groups, k = (size_t)(v->kh * v->kw);
    p->depthwise = clvi_arena_calloc(arena, all, k * sizeof(float));
    p->pointwise = clvi_arena_calloc(arena, total, (size_t)v->o * sizeof(float));
    p->gather = clvi_arena_calloc(arena, all, sizeof(int32_t));
    if (!p->depthwise || !p->pointwise || !p->gather)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %zu filters", all);
    *chain = (clvi_chain){.n = 2};
    clvi_conv *dw = &chain->link[0], *pw = &chain->link[1];
    *dw = *v;
    dw->o = (int64_t)all;
    dw->w = p->depthwise;
    dw->bias = NULL;
    *pw = clvi_link_pointwise(v, v->o, (int64_t)all, p->pointwise);
    return CLV_OK;
}

/* Copy group number `group` into the product; *even stays true while every channel has total / c filters. */
static void chain_fill(const product *p, const clvi_dw *dw, size_t group, bool *even)
{
    const size_t base = group * dw->total;
    float *d = p->depthwise + base * dw->k, *w = p->pointwise + group * dw->n * dw->total;
    for (size_t j = 0; j < dw->total * dw->k; j++)
        d[j] = (float)dw->d[j];
    for (size_t i = 0; i < dw->n; i++)
        for (size_t a = 0; a < dw->total; a++)
            w[i * dw->total + a] = (float)dw->pt[a * dw->n + i];
    for (size_t i = 0; i < dw->c; i++) {
        *even = *even && (dw->first[i + 1] - dw->first[i]) * dw->c == dw->total;
        for (size_t a = dw->first[i]; a < dw->first[i + 1]; a++)
            p->gather[base + a] = (int32_t)(group * dw->c + i);
    }
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    product p;
    bool even = true;
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const size_t total = filters_per_group(conv, opts);
    if (total == 0)
        return FAIL(err, CLV_ERR_ARG,
                    "multiplier %g: a whole number was expected, or any positive one with uneven multipliers",
                    opts->multiplier);
    if (total > (size_t)INT32_MAX / (size_t)conv->groups)
        return FAIL(err, CLV_ERR_ARG, "%zu filters in each of %lld groups", total, (long long)conv->groups);
    if (!cov && opts->method != CLVI_METHOD_SVD)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const bool warm = opts->start && opts->method == CLVI_METHOD_JOINT;
    const size_t m0 = warm ? start_size(conv, opts->start, total) : 0;
    if (warm && m0 == 0)
        return FAIL(err, CLV_ERR_ARG, "the chain to start from is not a depthwise one of %zu filters or more", total);
    TRY(chain_create(&out->chain, &p, conv, total, arena, err));
    for (size_t g = 0; g < (size_t)conv->groups; g++) {
        work w = {.opts = opts, .total = total, .context = context};
        const clv_status st = fit_group(&w, conv, g, m0, cov ? &cov[g] : NULL, err);
        if (st == CLV_OK)
            chain_fill(&p, &w.best, g, &even);
        out->iterations += w.iterations;
        work_free(&w);
        TRY(st);
    }
    clvi_conv *dw = &out->chain.link[0];
    dw->groups = even ? conv->c : dw->o;
    dw->c = dw->groups;
    out->chain.gather[0] = even ? NULL : p.gather;
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_depthwise = {"depthwise", true, 8, refuses, macs, fit};
