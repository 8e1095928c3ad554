/* SPDX-License-Identifier: Apache-2.0 */
/* Spatial decomposition (Jaderberg, Vedaldi and Zisserman 2014, scheme 2): a kh x 1 convolution to r channels, then a
 * 1 x kw one to the outputs.
 *
 *   W^[:, i, y, x] = sum_a u_a[:, x] v_a[i, y]:   P (I_kw (x) V), by variable projection over V[r, c kh]
 *
 * The first link takes the vertical stride, dilation and pads, the second the horizontal ones, so the first runs at the
 * width before the horizontal stride: (kh c sw + kw n) r multiply-adds per output position. It has no bias, so what it
 * gives for padding is the zeros that pad the second: borders stay exact. */
#include "base/mem.h"
#include "decompose/form.h"
#include "decompose/group.h"
#include "decompose/kronfit.h"

extern const clvi_form clvi_form_spatial;

static const char *refuses(const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups;
    if (v->kh == 1 || v->kw == 1)
        return "its kernel has one row or one column: there is nothing to separate";
    if (n * c * v->kh * v->kw <= v->kh * c * v->sw + v->kw * n)
        return "one inner channel would cost as much as the convolution itself";
    return NULL;
}

static int64_t per_channel(const clvi_conv *v)
{
    return v->kh * (v->c / v->groups) * v->sw + v->kw * (v->o / v->groups);
}

static int64_t inner(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t left = v->c / v->groups * v->kh, right = v->o / v->groups * v->kw;
    const int64_t r = clvi_fit_size(v, opts, per_channel(v)), most = (left < right ? left : right) * v->groups;
    return opts->size == 0 && r > most ? most : r > most ? 0 : r;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return inner(v, opts) * per_channel(v);
}

/* Inner channels in each group of a chain to start from; 0: it is not one of at least r for this convolution. */
static size_t start_size(const clvi_conv *v, const clvi_chain *chain, size_t r)
{
    const clvi_conv *first = &chain->link[0], *second = &chain->link[1];
    const int64_t g = v->groups;
    const bool fits = chain->n == 2 && first->c == v->c && first->groups == g && first->o % g == 0 &&
                      first->kh == v->kh && first->kw == 1 && second->o == v->o && second->c == first->o &&
                      second->groups == g && second->kh == 1 && second->kw == v->kw;
    return fits && (size_t)(first->o / g) >= r ? (size_t)(first->o / g) : 0;
}

/* Group number `group` of a chain: v[r0, d], pt[kw r0, n]. */
static void unfill(double *v, double *pt, const clvi_chain *chain, size_t group, const clvi_group *g, size_t r0,
                   size_t kw)
{
    const size_t d = g->q / kw;
    const float *horizontal = chain->link[1].w + group * g->n * r0 * kw;
    for (size_t j = 0; j < r0 * d; j++)
        v[j] = (double)chain->link[0].w[group * r0 * d + j];
    for (size_t i = 0; i < g->n; i++)
        for (size_t a = 0; a < r0; a++)
            for (size_t x = 0; x < kw; x++)
                pt[(x * r0 + a) * g->n + i] = (double)horizontal[(i * r0 + a) * kw + x];
}

/* Where a group is to be found in the chain to start from; r0 = 0: there is none. */
typedef struct origin {
    size_t group, r0;
} origin;

static clv_status solve(const clvi_kron *k, const clvi_group *g, origin from, const clvi_fit_opts *opts, double *v,
                        double *pt, int *iterations, clv_context *context, clv_error *err)
{
    clv_status st;
    if (from.r0 == 0)
        return clvi_kron_solve(k, 0, opts, NULL, v, pt, iterations, context, err);
    double *v0 = clvi_alloc_array(from.r0, k->d * sizeof *v0),
           *pt0 = clvi_alloc_array(k->p * from.r0, g->n * sizeof *pt0);
    if (v0 && pt0) {
        const clvi_kron_warm warm = {from.r0, v0, pt0};
        unfill(v0, pt0, opts->start, from.group, g, from.r0, k->p);
        st = clvi_kron_solve(k, 0, opts, &warm, v, pt, iterations, context, err);
    } else {
        st = FAIL(err, CLV_ERR_NOMEM, "spatial decomposition of %zu channels", from.r0);
    }
    clvi_free(v0);
    clvi_free(pt0);
    return st;
}

/* vertical[r, c, kh], horizontal[n, r, kw] of one group. */
static clv_status fit_group(float *vertical, float *horizontal, const clvi_group *g, size_t r, size_t kw, origin from,
                            const clvi_fit_opts *opts, int *iterations, clv_context *context, clv_error *err)
{
    const size_t d = g->q / kw;
    clvi_kron k = {0};
    clv_status st = CLV_OK;
    double *v = clvi_alloc_array(r, d * sizeof *v), *pt = clvi_alloc_array(kw * r, g->n * sizeof *pt);
    if (!v || !pt)
        st = FAIL(err, CLV_ERR_NOMEM, "spatial decomposition into %zu channels", r);
    if (st == CLV_OK)
        st = clvi_kron_create(&k, g, opts->method != CLVI_METHOD_SVD, kw, r, err);
    if (st == CLV_OK)
        st = solve(&k, g, from, opts, v, pt, iterations, context, err);
    for (size_t j = 0; st == CLV_OK && j < r * d; j++)
        vertical[j] = (float)v[j];
    for (size_t i = 0; st == CLV_OK && i < g->n; i++)
        for (size_t a = 0; a < r; a++)
            for (size_t x = 0; x < kw; x++)
                horizontal[(i * r + a) * kw + x] = (float)pt[(x * r + a) * g->n + i];
    clvi_kron_free(&k);
    clvi_free(v);
    clvi_free(pt);
    return st;
}

static void chain_create(clvi_chain *chain, const clvi_conv *conv, int64_t all, const float *vertical,
                         const float *horizontal)
{
    clvi_conv *first = &chain->link[0], *second = &chain->link[1];
    chain->n = 2;
    *first = *second = *conv;
    first->bias = second->bias = NULL;
    first->o = second->c = all;
    first->kw = first->sw = first->dw = 1;
    first->pl = first->pr = 0;
    first->w = vertical;
    second->kh = second->sh = second->dh = 1;
    second->pt = second->pb = 0;
    second->w = horizontal;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t all = inner(conv, opts);
    const size_t groups = (size_t)conv->groups, n = (size_t)conv->o / groups, kw = (size_t)conv->kw;
    const size_t d = (size_t)conv->c / groups * (size_t)conv->kh, r = (size_t)all / groups;
    if (all == 0)
        return FAIL(err, CLV_ERR_ARG,
                    "%lld inner channels for %zu inputs and rows, %zu outputs and columns in each of %zu groups",
                    (long long)opts->size, d, n * kw, groups);
    if (!cov && opts->method != CLVI_METHOD_SVD)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const size_t r0 = opts->start ? start_size(conv, opts->start, r) : 0;
    if (opts->start && r0 == 0)
        return FAIL(err, CLV_ERR_ARG, "the chain to start from is not a spatial one of %lld channels or more",
                    (long long)all);
    float *vertical = clvi_arena_calloc(arena, (size_t)all, d * sizeof(float));
    float *horizontal = clvi_arena_calloc(arena, (size_t)conv->o, r * kw * sizeof(float));
    if (!vertical || !horizontal)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld inner channels", (long long)all);
    for (size_t i = 0; i < groups; i++) {
        clvi_group g;
        TRY(clvi_group_create(&g, conv, i, cov ? &cov[i] : NULL, opts->ridge, context ? context->pool : NULL, err));
        const clv_status st = fit_group(vertical + i * r * d, horizontal + i * n * r * kw, &g, r, kw, (origin){i, r0},
                                        opts, &out->iterations, context, err);
        clvi_group_free(&g);
        TRY(st);
    }
    chain_create(&out->chain, conv, all, vertical, horizontal);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_spatial = {"spatial", true, 8, refuses, macs, fit};
