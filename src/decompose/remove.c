/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of a layer that does (almost) nothing. `size` says what is left of it:
 *
 *   1  a constant per channel:       y_j = mean(t_j)
 *   2  its own pixel, scaled:        y_j = a_j x_j + b_j,   a_j = H_jj' / S_j'j',  j' the tap of input channel j at the
 *                                    output's own position; only where outputs and inputs are the same in number,
 *                                    size and place
 *
 * size 0: 2 where it is possible. With the group's ridge a_j shrinks to the original tap; the bias is mean(t_j) - a_j
 * mean(x_j).
 *
 * Both count o multiply-adds an output position. That is what a constant costs at most: where it goes into the
 * Add that y feeds it costs none (clvi_pass_absorb_constants), and what only the removed layer read is dead code. Its
 * error is that of predicting the mean, 1, whatever the layer is worth to the sum it goes into. */
#include <string.h>

#include "base/mem.h"
#include "decompose/form.h"
#include "decompose/group.h"

extern const clvi_form clvi_form_remove;

#define CONSTANT 1
#define SCALED   2

/* Along one axis: the tap that reads the output's own position, when input and output are equally long; else -1. */
static int64_t own_tap(int64_t taps, int64_t stride, int64_t dilation, int64_t before, int64_t after)
{
    if (stride != 1 || before % dilation || before / dilation >= taps || before + after != dilation * (taps - 1))
        return -1;
    return before / dilation;
}

/* Own tap within a kernel; -1: there is none. */
static int64_t centre(const clvi_conv *v)
{
    const int64_t y = own_tap(v->kh, v->sh, v->dh, v->pt, v->pb), x = own_tap(v->kw, v->sw, v->dw, v->pl, v->pr);
    return v->o != v->c || y < 0 || x < 0 ? -1 : y * v->kw + x;
}

static const char *refuses(const clvi_conv *v)
{
    (void)v;
    return NULL;
}

/* What is left of the layer; 0: these options make no sense for it. */
static int64_t rest(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const bool scaled = centre(v) >= 0;
    if (opts->size == 0)
        return scaled ? SCALED : CONSTANT;
    return opts->size == CONSTANT || (opts->size == SCALED && scaled) ? opts->size : 0;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return rest(v, opts) ? v->o : 0;
}

/* Depthwise 1x1 without pads: its origin is the original's own tap. */
static clv_status scale(clvi_chain *chain, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                        clvi_arena *arena, clv_context *context, clv_error *err)
{
    const size_t n = (size_t)(conv->o / conv->groups), k = (size_t)(conv->kh * conv->kw), tap = (size_t)centre(conv);
    float *w = clvi_arena_calloc(arena, (size_t)conv->o, sizeof *w);
    if (!w)
        return FAIL(err, CLV_ERR_NOMEM, "scales of %lld channels", (long long)conv->o);
    for (size_t g = 0; g < (size_t)conv->groups; g++) {
        clvi_group group;
        TRY(clvi_group_create(&group, conv, g, cov ? &cov[g] : NULL, opts->ridge, context ? context->pool : NULL, err));
        for (size_t i = 0; i < n; i++) { /* as many inputs as outputs: the same place in the same group */
            const size_t own = i * k + tap, at = i * group.q + own;
            w[g * n + i] =
                (float)(opts->method == CLVI_METHOD_SVD ? group.w[at] : group.h[at] / group.s[own * group.q + own]);
        }
        clvi_group_free(&group);
    }
    chain->link[0] = clvi_link_pointwise(conv, conv->o, conv->c, w);
    chain->link[0].groups = conv->c;
    return CLV_OK;
}

/* A link that reads no channel. */
static clv_status constant(clvi_chain *chain, const clvi_conv *conv, clvi_arena *arena, clv_error *err)
{
    chain->link[0] = *conv;
    chain->link[0].c = 0;
    chain->link[0].groups = 1;
    chain->link[0].bias = NULL;
    chain->link[0].w = clvi_arena_calloc(arena, 1, sizeof *chain->link[0].w);
    chain->gather[0] = clvi_arena_calloc(arena, 1, sizeof *chain->gather[0]);
    if (!chain->link[0].w || !chain->gather[0])
        return FAIL(err, CLV_ERR_NOMEM, "constants of %lld channels", (long long)conv->o);
    return CLV_OK;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t what = rest(conv, opts);
    if (what == 0)
        return FAIL(err, CLV_ERR_ARG,
                    "size %lld of a removed layer of %lld inputs and %lld outputs: 1 is a constant, 2 a scale where "
                    "input and output are the same in number, size and place",
                    (long long)opts->size, (long long)conv->c, (long long)conv->o);
    if (opts->method != CLVI_METHOD_SVD && !cov)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    out->chain.n = 1;
    if (what == SCALED)
        TRY(scale(&out->chain, conv, cov, opts, arena, context, err));
    else
        TRY(constant(&out->chain, conv, arena, err));
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_remove = {"remove", false, 0, refuses, macs, fit};
