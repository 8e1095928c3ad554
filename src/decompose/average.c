/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/average.h"

#include <math.h>

#include "decompose/group.h"

static const char *refuses(const clvi_conv *v)
{
    if (v->map_h < 1 || v->map_w < 1)
        return "its output does not go through an activation into the mean over all pixels, and nowhere else";
    if (v->rank != 4 || v->groups != 1 || v->kh * v->kw != 1 || v->sh != 1 || v->sw != 1)
        return "it is not pointwise";
    int64_t size[CLVI_AVERAGE_SIZES];
    return clvi_average_sizes(size, v) == 0 ? "the sides of its map have no common divisor" : NULL;
}

static bool padded(const clvi_conv *v)
{
    return v->pt > 0 || v->pl > 0 || v->pb > 0 || v->pr > 0;
}

static bool divides(const clvi_conv *v, int64_t k)
{
    return k >= 1 && v->map_h % k == 0 && v->map_w % k == 0 && (k > 1 || padded(v));
}

size_t clvi_average_sizes(int64_t size[CLVI_AVERAGE_SIZES], const clvi_conv *v)
{
    const int64_t most = v->map_h < v->map_w ? v->map_h : v->map_w;
    size_t n = 0;
    for (int64_t k = 1; k <= most && n < CLVI_AVERAGE_SIZES; k++)
        if (divides(v, k))
            size[n++] = k;
    return n;
}

/* The largest cell when none is asked for; 0: not possible. */
static int64_t cell(const clvi_conv *v, const clvi_fit_opts *opts)
{
    int64_t size[CLVI_AVERAGE_SIZES];
    const size_t n = refuses(v) ? 0 : clvi_average_sizes(size, v);
    if (n == 0)
        return 0;
    return opts->size == 0 ? size[n - 1] : divides(v, opts->size) ? opts->size : 0;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t k = cell(v, opts);
    if (k == 0)
        return 0;
    const double pixels = (double)(v->map_h + v->pt + v->pb) * (double)(v->map_w + v->pl + v->pr);
    const double cells = (double)(v->map_h / k) * (double)(v->map_w / k);
    return (int64_t)ceil((double)clvi_conv_macs_per_pixel(v) * cells / pixels);
}

/* The weights stay; who has whole maps sets the gain and the error (averaged.h). */
static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    (void)cov;
    (void)arena;
    (void)context;
    *out = (clvi_fit){.error = (double)NAN, .macs_per_pixel = macs(conv, opts)};
    TRY(clvi_conv_check(conv, err));
    if (out->macs_per_pixel == 0)
        return FAIL(err, CLV_ERR_ARG, "cells of %lld x %lld pixels in a map of %lld x %lld", (long long)opts->size,
                    (long long)opts->size, (long long)conv->map_h, (long long)conv->map_w);
    out->chain.n = 1;
    out->chain.average = cell(conv, opts);
    out->chain.gain = 1;
    out->chain.link[0] = clvi_link_pointwise(conv, conv->o, conv->c, conv->w);
    out->chain.link[0].bias = conv->bias;
    return CLV_OK;
}

const clvi_form clvi_form_average = {"average", false, 0, refuses, macs, fit};
