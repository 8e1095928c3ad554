/* SPDX-License-Identifier: Apache-2.0 */
/* Random layers and data for the decompose tests. */
#ifndef CLV_TESTS_DECOMPOSE_FIXTURE_H
#define CLV_TESTS_DECOMPOSE_FIXTURE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decompose/form.h"

typedef struct layer {
    clvi_conv conv;
    float *w, *bias;
    size_t n, q, groups, samples;
    float **x, **t; /* per group: x[samples, q], t[samples, n] */
    clvi_covariance *cov;
} layer;

typedef struct shape {
    int64_t o, c, groups, kh, kw;
    size_t dead;  /* this many channels of each group never vary */
    double drift; /* the target is W x plus drift times another random map of x and noise (asymmetric) */
} shape;

static inline double *make(size_t n)
{
    double *p = clvi_calloc(n ? n : 1, sizeof *p);
    assert_non_null(p);
    return p;
}

/* x = mixed, neighbour-correlated, rectified noise. */
static inline void fill_patch(float *x, const double *mix, size_t c, size_t k, size_t dead, clvi_rng *rng)
{
    double *z = make(c * (k + 1));
    for (size_t i = 0; i < c * (k + 1); i++)
        z[i] = clvi_rng_normal(rng);
    for (size_t i = 0; i < c; i++)
        for (size_t t = 0; t < k; t++) {
            double v = 0;
            for (size_t j = 0; j < c; j++)
                v += mix[i * c + j] * (z[j * (k + 1) + t] + 0.7 * z[j * (k + 1) + t + 1]);
            x[i * k + t] = i < dead ? 0.25F : (float)fmax(v, -0.3);
        }
    clvi_free(z);
}

static inline void fill_target(layer *l, size_t g, const double *other, double drift, clvi_rng *rng)
{
    for (size_t s = 0; s < l->samples; s++)
        for (size_t i = 0; i < l->n; i++) {
            double y = l->bias ? (double)l->bias[g * l->n + i] : 0;
            for (size_t j = 0; j < l->q; j++)
                y += ((double)l->w[(g * l->n + i) * l->q + j] + drift * other[i * l->q + j]) *
                     (double)l->x[g][s * l->q + j];
            l->t[g][s * l->n + i] = (float)(y + drift * clvi_rng_normal(rng));
        }
}

static inline layer layer_create(shape p, uint64_t seed)
{
    clvi_rng rng;
    clvi_rng_seed(&rng, seed);
    const size_t groups = (size_t)p.groups, c = (size_t)(p.c / p.groups), k = (size_t)(p.kh * p.kw);
    layer l = {.n = (size_t)(p.o / p.groups), .q = c * k, .groups = groups, .samples = 4 * c * k + 40};
    l.w = clvi_alloc_array(groups * l.n * l.q, sizeof *l.w);
    l.bias = clvi_alloc_array(groups * l.n, sizeof *l.bias);
    l.x = clvi_calloc(groups, sizeof *l.x);
    l.t = clvi_calloc(groups, sizeof *l.t);
    l.cov = clvi_calloc(groups, sizeof *l.cov);
    for (size_t i = 0; i < groups * l.n * l.q; i++)
        l.w[i] = (float)clvi_rng_normal(&rng);
    for (size_t i = 0; i < groups * l.n; i++)
        l.bias[i] = (float)clvi_rng_normal(&rng);
    for (size_t g = 0; g < groups; g++) {
        double *mix = make(c * c), *other = make(l.n * l.q);
        clvi_moments m;
        l.x[g] = clvi_alloc_array(l.samples * l.q, sizeof(float));
        l.t[g] = clvi_alloc_array(l.samples * l.n, sizeof(float));
        for (size_t i = 0; i < c * c; i++)
            mix[i] = clvi_rng_normal(&rng) / sqrt((double)c);
        for (size_t i = 0; i < l.n * l.q; i++)
            other[i] = clvi_rng_normal(&rng);
        for (size_t s = 0; s < l.samples; s++)
            fill_patch(l.x[g] + s * l.q, mix, c, k, p.dead, &rng);
        fill_target(&l, g, other, p.drift, &rng);
        assert_int_equal(clvi_moments_create(&m, l.q, l.n, NULL), CLV_OK);
        assert_int_equal(clvi_moments_add(&m, l.samples, l.x[g], l.t[g], NULL), CLV_OK);
        assert_int_equal(clvi_covariance_of(&l.cov[g], &m, NULL), CLV_OK);
        clvi_moments_free(&m);
        clvi_free(mix);
        clvi_free(other);
    }
    l.conv = (clvi_conv){.o = p.o,
                         .c = p.c,
                         .groups = p.groups,
                         .kh = p.kh,
                         .kw = p.kw,
                         .sh = 2,
                         .sw = 1,
                         .dh = 1,
                         .dw = 2,
                         .pt = 1,
                         .pl = 2,
                         .pb = 0,
                         .pr = 1,
                         .rank = 4,
                         .w = l.w,
                         .bias = l.bias};
    return l;
}

static inline void layer_free(layer *l)
{
    for (size_t g = 0; g < l->groups; g++) {
        clvi_free(l->x[g]);
        clvi_free(l->t[g]);
        clvi_covariance_free(&l->cov[g]);
    }
    clvi_free(l->x);
    clvi_free(l->t);
    clvi_free(l->cov);
    clvi_free(l->w);
    clvi_free(l->bias);
}

/* E|t - (W^ x + bias)|^2 / E|t - E t|^2 by going through the samples. what[groups, n, q]. */
static inline double brute_error(const layer *l, const double *what, const float *bias)
{
    double error = 0, total = 0;
    for (size_t g = 0; g < l->groups; g++)
        for (size_t i = 0; i < l->n; i++) {
            double mean = 0;
            for (size_t s = 0; s < l->samples; s++)
                mean += (double)l->t[g][s * l->n + i] / (double)l->samples;
            for (size_t s = 0; s < l->samples; s++) {
                const double t = (double)l->t[g][s * l->n + i];
                double y = (double)bias[g * l->n + i];
                for (size_t j = 0; j < l->q; j++)
                    y += what[(g * l->n + i) * l->q + j] * (double)l->x[g][s * l->q + j];
                error += (t - y) * (t - y);
                total += (t - mean) * (t - mean);
            }
        }
    return total > 0 ? error / total : 0;
}

/* Fit, and check what is true of every fit: the chain expands, its bias and error are those of the samples. */
static inline clvi_fit checked_fit(const char *form, const layer *l, const clvi_fit_opts *opts, clvi_arena *arena,
                                   clv_context *context)
{
    clvi_fit fit;
    clv_error err = {0};
    const clvi_form *f = clvi_form_find(form);
    assert_non_null(f);
    const clv_status st = f->fit(&fit, &l->conv, l->cov, opts, arena, context, &err);
    if (st != CLV_OK)
        fail_msg("%s: %s", form, err.msg);
    double *what = make(l->groups * l->n * l->q);
    assert_int_equal(clvi_chain_expand(&fit.chain, &l->conv, what, &err), CLV_OK);
    for (size_t i = 0; i < l->groups * l->n * l->q; i++)
        assert_true(isfinite(what[i]));
    const double brute = brute_error(l, what, fit.chain.link[fit.chain.n - 1].bias);
    assert_true(fabs(brute - fit.error) < 1e-5 * (1 + brute));
    assert_int_equal(fit.macs_per_pixel, f->macs(&l->conv, opts));
    clvi_free(what);
    return fit;
}

static const shape shapes[] = {
    {8, 6, 1, 3, 3, 0, 0},   {8, 6, 1, 3, 3, 0, 0.3}, {12, 8, 2, 3, 3, 0, 0.2}, {5, 7, 1, 1, 5, 0, 0},
    {6, 5, 1, 3, 1, 0, 0.3}, {3, 6, 1, 3, 3, 0, 0},   {9, 1, 1, 3, 3, 0, 0},    {8, 6, 1, 3, 3, 2, 0},
    {8, 6, 1, 3, 3, 2, 0.3}, {1, 4, 1, 3, 3, 0, 0},   {16, 8, 4, 2, 2, 1, 0},   {10, 4, 1, 5, 5, 0, 0.1},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static inline double full_multiplier(const shape *p)
{
    const int64_t n = p->o / p->groups, k = p->kh * p->kw;
    return (double)(n < k ? n : k);
}

#endif
