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

/* vertical[r, c, kh], horizontal[n, r, kw] of one group. */
static clv_status fit_group(float *vertical, float *horizontal, const clvi_group *g, size_t r, size_t kw,
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
        st = clvi_kron_solve(&k, 0, opts, v, pt, iterations, context, err);
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
    float *vertical = clvi_arena_calloc(arena, (size_t)all, d * sizeof(float));
    float *horizontal = clvi_arena_calloc(arena, (size_t)conv->o, r * kw * sizeof(float));
    if (!vertical || !horizontal)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld inner channels", (long long)all);
    for (size_t i = 0; i < groups; i++) {
        clvi_group g;
        TRY(clvi_group_create(&g, conv, i, cov ? &cov[i] : NULL, opts->ridge, context ? context->pool : NULL, err));
        const clv_status st = fit_group(vertical + i * r * d, horizontal + i * n * r * kw, &g, r, kw, opts,
                                        &out->iterations, context, err);
        clvi_group_free(&g);
        TRY(st);
    }
    chain_create(&out->chain, conv, all, vertical, horizontal);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, err);
}

const clvi_form clvi_form_spatial = {"spatial", refuses, macs, fit};
