/* SPDX-License-Identifier: Apache-2.0 */
/* What is true of any chain: the single convolution that it equals, its copy, its size. */
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/form.h"
#include "linalg/matrix.h"

/* A chain multiplied out so far: k[o, cg, kh, kw] over the original's taps, and for each output channel the group of
 * the original that it reads and, within that, the range of input channels that are not zero. stride: of the last
 * output in input pixels; origin: of its first tap (minus padding); lost: input pixels that the output is shorter. */
typedef struct composite {
    size_t o, cg, kh, kw;
    double *k;
    size_t *group, *first, *end;
    int64_t stride_h, stride_w, origin_h, origin_w, lost_h, lost_w;
    bool identity; /* before the first link: one weight a channel */
} composite;

static void composite_free(composite *c)
{
    clvi_free(c->k);
    clvi_free(c->group);
    clvi_free(c->first);
    clvi_free(c->end);
    *c = (composite){0};
}

static clv_status composite_create(composite *c, size_t o, const clvi_conv *original, clv_error *err)
{
    *c = (composite){
        .o = o, .cg = (size_t)(original->c / original->groups), .kh = (size_t)original->kh, .kw = (size_t)original->kw};
    c->k = clvi_calloc(o, c->cg * c->kh * c->kw * sizeof *c->k);
    c->group = clvi_calloc(o, sizeof *c->group);
    c->first = clvi_calloc(o, sizeof *c->first);
    c->end = clvi_calloc(o, sizeof *c->end);
    if (c->k && c->group && c->first && c->end)
        return CLV_OK;
    composite_free(c);
    return FAIL(err, CLV_ERR_NOMEM, "a chain of convolutions with %zu channels, multiplied out", o);
}

/* The original's tap that lies `offset` input pixels from the output's origin; -1: none does. */
static int64_t tap_at(int64_t offset, int64_t dilation, size_t taps)
{
    if (offset < 0 || offset % dilation || offset / dilation >= (int64_t)taps)
        return -1;
    return offset / dilation;
}

/* Where one tap of a link lands: every tap of `in` moves by this much of the original's pixels. */
typedef struct shift {
    int64_t h, w;
} shift;

/* Where tap t of a link moves what it reads. */
static shift shift_of(size_t t, const clvi_conv *link, const composite *in)
{
    const int64_t y = (int64_t)(t / (size_t)link->kw), x = (int64_t)(t % (size_t)link->kw);
    return (shift){y * link->dh * in->stride_h, x * link->dw * in->stride_w};
}

/* out += weight * the moved kernel of channel `from` of c, input channels first .. end - 1. */
static clv_status add_range(double *out, const composite *c, size_t from, size_t first, size_t end, double weight,
                            shift by, const clvi_conv *original, clv_error *err)
{
    const double *in = c->k + from * c->cg * c->kh * c->kw;
    const size_t taps = c->kh * c->kw;
    for (size_t t = 0; t < taps; t++) {
        const int64_t ty = tap_at((int64_t)(t / c->kw) * original->dh + by.h, original->dh, c->kh);
        const int64_t tx = tap_at((int64_t)(t % c->kw) * original->dw + by.w, original->dw, c->kw);
        const size_t to = ty < 0 || tx < 0 ? taps : (size_t)ty * c->kw + (size_t)tx;
        for (size_t i = first; i < end; i++) {
            const double v = in[i * taps + t];
            if (v == 0)
                continue;
            if (to == taps)
                return FAIL(err, CLV_ERR_ARG, "the chain reads a pixel that the original %lld x %lld kernel does not",
                            (long long)original->kh, (long long)original->kw);
            out[i * taps + to] += weight * v;
        }
    }
    return CLV_OK;
}

static clv_status add_moved(double *out, const composite *c, size_t from, double weight, shift by,
                            const clvi_conv *original, clv_error *err)
{
    return add_range(out, c, from, c->first[from], c->end[from], weight, by, original, err);
}

/* The identity before the first link: channel j of the input, at tap 0. */
static clv_status start(composite *c, const clvi_conv *original, clv_error *err)
{
    TRY(composite_create(c, (size_t)original->c, original, err));
    c->stride_h = c->stride_w = 1;
    c->identity = true;
    for (size_t j = 0; j < c->o; j++) {
        c->group[j] = j / c->cg;
        c->first[j] = j % c->cg;
        c->end[j] = j % c->cg + 1;
        c->k[(j * c->cg + j % c->cg) * c->kh * c->kw] = 1;
    }
    return CLV_OK;
}

/* Channel of `in` that input l of group `group` of the link reads. */
static size_t source(const clvi_conv *link, const int32_t *gather, size_t group, size_t l)
{
    const size_t from = group * (size_t)(link->c / link->groups) + l;
    return gather ? (size_t)gather[from] : from;
}

static clv_status apply_output(composite *next, const composite *in, size_t o, const clvi_conv *link,
                               const int32_t *gather, const clvi_conv *original, clv_error *err)
{
    const size_t lc = (size_t)(link->c / link->groups), per = (size_t)(link->o / link->groups);
    const size_t kernel = in->cg * in->kh * in->kw, taps = (size_t)(link->kh * link->kw);
    bool any = false;
    for (size_t l = 0; l < lc; l++) {
        const size_t from = source(link, gather, o / per, l);
        for (size_t t = 0; t < taps; t++) {
            const double weight = (double)link->w[(o * lc + l) * taps + t];
            if (weight == 0)
                continue;
            if (any && next->group[o] != in->group[from])
                return FAIL(err, CLV_ERR_ARG, "output %zu of a link mixes two groups of the original", o);
            next->group[o] = in->group[from];
            next->first[o] = any ? clvi_min_size(next->first[o], in->first[from]) : in->first[from];
            next->end[o] = clvi_max_size(next->end[o], in->end[from]);
            any = true;
            TRY(add_moved(next->k + o * kernel, in, from, weight, shift_of(t, link, in), original, err));
        }
    }
    return CLV_OK;
}

/* Scratch of apply_group. */
typedef struct dense {
    double *w;   /* [per, lc] the link's weights at one tap */
    double *k;   /* [lc, kernel] what the group reads, when it is gathered */
    double *out; /* [per, kernel] their product */
} dense;

/* The outputs of one group of the link, all of which read all of its inputs: a product for each tap, then moved. */
static clv_status apply_group(composite *next, const composite *in, size_t group, const clvi_conv *link,
                              const int32_t *gather, const clvi_conv *original, dense *s, clv_error *err)
{
    const size_t lc = (size_t)(link->c / link->groups), per = (size_t)(link->o / link->groups);
    const size_t kernel = in->cg * in->kh * in->kw, taps = (size_t)(link->kh * link->kw), o0 = group * per;
    const size_t lead = source(link, gather, group, 0);
    size_t first = in->first[lead], end = in->end[lead];
    for (size_t l = 0; l < lc; l++) {
        const size_t from = source(link, gather, group, l);
        first = clvi_min_size(first, in->first[from]);
        end = clvi_max_size(end, in->end[from]);
        memcpy(s->k + l * kernel, in->k + from * kernel, kernel * sizeof *s->k);
    }
    const composite product = {.o = per, .cg = in->cg, .kh = in->kh, .kw = in->kw, .k = s->out};
    for (size_t o = o0; o < o0 + per; o++) {
        next->group[o] = in->group[lead];
        next->first[o] = first;
        next->end[o] = end;
    }
    for (size_t t = 0; t < taps; t++) {
        for (size_t j = 0; j < per * lc; j++)
            s->w[j] = (double)link->w[(o0 * lc + j) * taps + t];
        clvi_gemm(NULL, (clvi_out){s->out, kernel}, 0, 1, clvi_view_of(s->w, per, lc, lc),
                  clvi_view_of(s->k, lc, kernel, kernel));
        for (size_t o = 0; o < per; o++)
            TRY(add_range(next->k + (o0 + o) * kernel, &product, o, first, end, 1, shift_of(t, link, in), original,
                          err));
    }
    return CLV_OK;
}

/* Whether a group's inputs are such that apply_group serves it: many, of one group of the original. */
static bool is_dense(const composite *in, size_t group, const clvi_conv *link, const int32_t *gather)
{
    const size_t lc = (size_t)(link->c / link->groups);
    if (lc < 2 || in->identity)
        return false;
    const size_t lead = source(link, gather, group, 0);
    for (size_t l = 1; l < lc; l++)
        if (in->group[source(link, gather, group, l)] != in->group[lead])
            return false;
    return true;
}

static clv_status apply_groups(composite *next, const composite *in, const clvi_conv *link, const int32_t *gather,
                               const clvi_conv *original, clv_error *err)
{
    const size_t lc = (size_t)(link->c / link->groups), per = (size_t)(link->o / link->groups);
    const size_t kernel = in->cg * in->kh * in->kw;
    dense s = {clvi_alloc_array(per, lc * sizeof(double)), clvi_alloc_array(lc, kernel * sizeof(double)),
               clvi_alloc_array(per, kernel * sizeof(double))};
    clv_status st = CLV_OK;
    if (!s.w || !s.k || !s.out)
        st = FAIL(err, CLV_ERR_NOMEM, "%zu channels by %zu weights, multiplied out", lc, kernel);
    for (size_t g = 0; st == CLV_OK && g < (size_t)link->groups; g++) {
        if (is_dense(in, g, link, gather))
            st = apply_group(next, in, g, link, gather, original, &s, err);
        else
            for (size_t o = g * per; st == CLV_OK && o < (g + 1) * per; o++)
                st = apply_output(next, in, o, link, gather, original, err);
    }
    clvi_free(s.w);
    clvi_free(s.k);
    clvi_free(s.out);
    return st;
}

/* next = link o in. */
static clv_status apply(composite *next, const composite *in, const clvi_conv *link, const int32_t *gather,
                        const clvi_conv *original, clv_error *err)
{
    if (gather)
        for (int64_t j = 0; j < link->c; j++)
            if (gather[j] < 0 || (size_t)gather[j] >= in->o)
                return FAIL(err, CLV_ERR_ARG, "gathered channel %d of %zu", (int)gather[j], in->o);
    if (!gather && (size_t)link->c != in->o)
        return FAIL(err, CLV_ERR_ARG, "a link of the chain reads %lld channels of %zu", (long long)link->c, in->o);
    TRY(composite_create(next, (size_t)link->o, original, err));
    next->stride_h = in->stride_h * link->sh;
    next->stride_w = in->stride_w * link->sw;
    next->origin_h = in->origin_h - in->stride_h * link->pt;
    next->origin_w = in->origin_w - in->stride_w * link->pl;
    next->lost_h = in->lost_h + in->stride_h * (link->dh * (link->kh - 1) - link->pt - link->pb);
    next->lost_w = in->lost_w + in->stride_w * (link->dw * (link->kw - 1) - link->pl - link->pr);
    const clv_status st = apply_groups(next, in, link, gather, original, err);
    if (st != CLV_OK)
        composite_free(next);
    return st;
}

/* w = the composite's taps where the original has them: its first tap may lie inside the original's kernel, as that of
 * a 1x1 link without pads does. */
static clv_status settle(double *w, const composite *c, const clvi_conv *original, clv_error *err)
{
    const int64_t dy = c->origin_h + original->pt, dx = c->origin_w + original->pl;
    const bool same = c->o == (size_t)original->o && c->stride_h == original->sh && c->stride_w == original->sw &&
                      c->lost_h == original->dh * (original->kh - 1) - original->pt - original->pb &&
                      c->lost_w == original->dw * (original->kw - 1) - original->pl - original->pr;
    if (!same)
        return FAIL(err, CLV_ERR_ARG, "the chain's %zu outputs, strides or pads are not those of the original", c->o);
    memset(w, 0, c->o * c->cg * c->kh * c->kw * sizeof *w);
    for (size_t i = 0; i < c->o * c->cg; i++)
        for (size_t y = 0; y < c->kh; y++)
            for (size_t x = 0; x < c->kw; x++) {
                const double v = c->k[(i * c->kh + y) * c->kw + x];
                if (v == 0)
                    continue;
                const int64_t ty = tap_at((int64_t)y * original->dh + dy, original->dh, c->kh);
                const int64_t tx = tap_at((int64_t)x * original->dw + dx, original->dw, c->kw);
                if (ty < 0 || tx < 0)
                    return FAIL(err, CLV_ERR_ARG, "the chain's pads put tap %zu, %zu outside the original's kernel", y,
                                x);
                w[(i * c->kh + (size_t)ty) * c->kw + (size_t)tx] = v;
            }
    return CLV_OK;
}

clv_status clvi_chain_expand(const clvi_chain *chain, const clvi_conv *original, double *w, clv_error *err)
{
    composite now = {0}, next;
    TRY(start(&now, original, err));
    for (size_t i = 0; i < chain->n; i++) {
        const clv_status st = apply(&next, &now, &chain->link[i], chain->gather[i], original, err);
        composite_free(&now);
        if (st != CLV_OK)
            return st;
        now = next;
    }
    const clv_status st = settle(w, &now, original, err);
    composite_free(&now);
    return st;
}

clv_status clvi_chain_copy(clvi_chain *out, const clvi_chain *chain, clvi_arena *arena, clv_error *err)
{
    clvi_chain copy = *chain;
    for (size_t i = 0; i < chain->n; i++) {
        const clvi_conv *link = &chain->link[i];
        const size_t weights = (size_t)(link->o * (link->c / link->groups) * link->kh * link->kw);
        float *w = clvi_arena_calloc(arena, weights, sizeof *w);
        float *bias = link->bias ? clvi_arena_calloc(arena, (size_t)link->o, sizeof *bias) : NULL;
        int32_t *gather = chain->gather[i] ? clvi_arena_calloc(arena, (size_t)link->c, sizeof *gather) : NULL;
        if (!w || (link->bias && !bias) || (chain->gather[i] && !gather))
            return FAIL(err, CLV_ERR_NOMEM, "copy of %zu weights", weights);
        memcpy(w, link->w, weights * sizeof *w);
        if (bias)
            memcpy(bias, link->bias, (size_t)link->o * sizeof *bias);
        if (gather)
            memcpy(gather, chain->gather[i], (size_t)link->c * sizeof *gather);
        copy.link[i].w = w;
        copy.link[i].bias = bias;
        copy.gather[i] = gather;
    }
    *out = copy;
    return CLV_OK;
}

int64_t clvi_chain_parameters(const clvi_chain *chain)
{
    int64_t sum = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const clvi_conv *link = &chain->link[i];
        sum += link->o * (link->c / link->groups) * link->kh * link->kw + (link->bias ? link->o : 0);
    }
    return sum;
}
