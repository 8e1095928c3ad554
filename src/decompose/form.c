/* SPDX-License-Identifier: Apache-2.0 */
/* The list of forms, and what is true of any chain. */
#include "decompose/form.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define F(form) extern const clvi_form form;
#include "decompose/form_list.h"
#undef F

static const clvi_form *const forms[] = {
#define F(form) &form,
#include "decompose/form_list.h"
#undef F
};

const clvi_form *const *clvi_form_all(size_t *n)
{
    *n = sizeof forms / sizeof *forms;
    return forms;
}

const clvi_form *clvi_form_find(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i]->name, name) == 0)
            return forms[i];
    return NULL;
}

static const char *const method_names[] = {"svd", "gsvd", "inter-channel", "sweeps", "joint"};
#define METHODS (sizeof method_names / sizeof *method_names)

const char *clvi_method_name(clvi_method method)
{
    return (size_t)method < METHODS ? method_names[method] : "unknown";
}

bool clvi_method_parse(const char *name, clvi_method *out)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(method_names[i], name) == 0) {
            *out = (clvi_method)i;
            return true;
        }
    return false;
}

clvi_fit_opts clvi_fit_opts_default(void)
{
    return (clvi_fit_opts){
        .method = CLVI_METHOD_JOINT, .multiplier = 1, .ridge = 1e-3, .max_iterations = 200, .seed = 1};
}

int64_t clvi_conv_macs_per_pixel(const clvi_conv *conv)
{
    return conv->o * (conv->c / conv->groups) * conv->kh * conv->kw;
}

/* A chain multiplied out so far: k[o, cg, kh, kw] over the original's taps, and for each output channel the group of
 * the original that it reads and, within that, the range of input channels that are not zero. stride: of the last
 * output in input pixels; origin: of its first tap (minus padding); lost: input pixels that the output is shorter. */
typedef struct composite {
    size_t o, cg, kh, kw;
    double *k;
    size_t *group, *first, *end;
    int64_t stride_h, stride_w, origin_h, origin_w, lost_h, lost_w;
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

/* out += weight * the moved kernel of channel `from` of c. */
static clv_status add_moved(double *out, const composite *c, size_t from, double weight, shift by,
                            const clvi_conv *original, clv_error *err)
{
    const double *in = c->k + from * c->cg * c->kh * c->kw;
    for (size_t i = c->first[from]; i < c->end[from]; i++)
        for (size_t y = 0; y < c->kh; y++)
            for (size_t x = 0; x < c->kw; x++) {
                const double v = in[(i * c->kh + y) * c->kw + x];
                if (v == 0)
                    continue;
                const int64_t ty = tap_at((int64_t)y * original->dh + by.h, original->dh, c->kh);
                const int64_t tx = tap_at((int64_t)x * original->dw + by.w, original->dw, c->kw);
                if (ty < 0 || tx < 0)
                    return FAIL(err, CLV_ERR_ARG,
                                "the chain reads a pixel that the original %lld x %lld kernel does not",
                                (long long)original->kh, (long long)original->kw);
                out[(i * c->kh + (size_t)ty) * c->kw + (size_t)tx] += weight * v;
            }
    return CLV_OK;
}

/* The identity before the first link: channel j of the input, at tap 0. */
static clv_status start(composite *c, const clvi_conv *original, clv_error *err)
{
    TRY(composite_create(c, (size_t)original->c, original, err));
    c->stride_h = c->stride_w = 1;
    for (size_t j = 0; j < c->o; j++) {
        c->group[j] = j / c->cg;
        c->first[j] = j % c->cg;
        c->end[j] = j % c->cg + 1;
        c->k[(j * c->cg + j % c->cg) * c->kh * c->kw] = 1;
    }
    return CLV_OK;
}

static clv_status apply_output(composite *next, const composite *in, size_t o, const clvi_conv *link,
                               const int32_t *gather, const clvi_conv *original, clv_error *err)
{
    const size_t lc = (size_t)(link->c / link->groups), per = (size_t)(link->o / link->groups);
    const size_t kernel = in->cg * in->kh * in->kw, taps = (size_t)(link->kh * link->kw);
    bool any = false;
    for (size_t l = 0; l < lc; l++) {
        size_t from = o / per * lc + l;
        from = gather ? (size_t)gather[from] : from;
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
            const int64_t y = (int64_t)(t / (size_t)link->kw), x = (int64_t)(t % (size_t)link->kw);
            const shift by = {y * link->dh * in->stride_h, x * link->dw * in->stride_w};
            TRY(add_moved(next->k + o * kernel, in, from, weight, by, original, err));
        }
    }
    return CLV_OK;
}

/* next = link o in. */
static clv_status apply(composite *next, const composite *in, const clvi_conv *link, const int32_t *gather,
                        const clvi_conv *original, clv_error *err)
{
    clv_status st;
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
    for (size_t o = 0; o < next->o; o++)
        if ((st = apply_output(next, in, o, link, gather, original, err)) != CLV_OK) {
            composite_free(next);
            return st;
        }
    return CLV_OK;
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
