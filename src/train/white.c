/* SPDX-License-Identifier: Apache-2.0 */
#include "train/white.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"

#define MAX_PATCH 320  /* the moments of longer ones cost more than a step */
#define SAMPLES   96   /* patches of a lane and step */
#define KEEP      0.9  /* of the running means, a gathering */
#define EVERY     4    /* steps between two gatherings, once the first steps are over */
#define DAMPING   1e-2 /* of the mean variance */
#define PERIOD    20   /* steps between two inverses */
#define MEASURED  10   /* steps behind the sizes of the outputs; a caller's rate is 0 so long */

size_t clvi_white_state(const clvi_white *w)
{
    return 2 * w->blocks * w->n * w->n + w->blocks * w->rows + 1;
}

static clv_status allocate(clvi_white *w, clv_error *err)
{
    const size_t nn = w->n * w->n, all = w->blocks * nn;
    w->sums = clvi_calloc(w->lanes * all, sizeof *w->sums);
    w->patch = clvi_calloc(w->lanes * w->n, sizeof *w->patch);
    w->room = clvi_calloc(2 * w->n + nn, sizeof *w->room);
    if (!w->sums || !w->patch || !w->room)
        return FAIL(err, CLV_ERR_NOMEM, "moments of patches of %zu numbers", w->n);
    return CLV_OK;
}

void clvi_white_bind(clvi_white *w, double *state)
{
    const size_t all = w->blocks * w->n * w->n;
    w->moments = state;
    w->inverse = w->moments + all;
    w->size = w->inverse + all;
    w->steps = w->size + w->blocks * w->rows;
}

clv_status clvi_white_create(clvi_white **out, const clvi_conv_shape *s, size_t lanes, clv_error *err)
{
    *out = NULL;
    const size_t taps = (size_t)(s->c / s->groups * s->kh * s->kw);
    if (taps + 1 > MAX_PATCH)
        return CLV_OK;
    clvi_white *const w = clvi_calloc(1, sizeof *w);
    if (!w)
        return FAIL(err, CLV_ERR_NOMEM, "moments of a convolution");
    w->shape = *s;
    w->lanes = lanes;
    w->blocks = (size_t)s->groups;
    w->rows = (size_t)(s->o / s->groups);
    w->taps = taps;
    w->n = taps + 1;
    const clv_status st = allocate(w, err);
    if (st == CLV_OK)
        *out = w;
    else
        clvi_white_free(w);
    return st;
}

void clvi_white_free(clvi_white *w)
{
    if (!w)
        return;
    clvi_free(w->sums);
    clvi_free(w->patch);
    clvi_free(w->room);
    clvi_free(w);
}

/* --- moments ----------------------------------------------------------------------------------------------------- */

typedef struct place {
    int64_t image, y, x; /* of the output */
} place;

static void read_patch(float *p, const clvi_conv_shape *s, const float *x, place at, int64_t group)
{
    const int64_t depth = s->c / s->groups;
    for (int64_t c = 0; c < depth; c++)
        for (int64_t ky = 0; ky < s->kh; ky++)
            for (int64_t kx = 0; kx < s->kw; kx++) {
                const int64_t iy = at.y * s->sh - s->pt + ky * s->dh, ix = at.x * s->sw - s->pl + kx * s->dw;
                const bool inside = iy >= 0 && iy < s->h && ix >= 0 && ix < s->w;
                *p++ = inside ? x[((at.image * s->h + iy) * s->w + ix) * s->c + group * depth + c] : 0;
            }
}

/* Patches change slowly: what a gathering costs is spent on every step only at first. */
static bool is_due(const clvi_white *w)
{
    const int64_t t = (int64_t)*w->steps;
    return t <= MEASURED || t % EVERY == 0;
}

static double gatherings(const clvi_white *w)
{
    const int64_t t = (int64_t)*w->steps;
    return (double)(t <= MEASURED ? t : MEASURED + (t - MEASURED) / EVERY);
}

void clvi_white_gather(clvi_white *w, size_t lane, const float *x)
{
    const clvi_conv_shape *const s = &w->shape;
    if (!is_due(w))
        return;
    const size_t n = w->n;
    double *const sums = w->sums + lane * w->blocks * n * n;
    float *const p = w->patch + lane * n;
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, lane, (uint64_t)*w->steps);
    memset(sums, 0, w->blocks * n * n * sizeof *sums);
    p[w->taps] = 1;
    for (int k = 0; k < SAMPLES; k++) {
        const place at = {(int64_t)clvi_rng_below(&rng, (uint64_t)s->n), (int64_t)clvi_rng_below(&rng, (uint64_t)s->oh),
                          (int64_t)clvi_rng_below(&rng, (uint64_t)s->ow)};
        for (size_t b = 0; b < w->blocks; b++) {
            double *const a = sums + b * n * n;
            read_patch(p, s, x, at, (int64_t)b);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j <= i; j++)
                    a[i * n + j] += (double)p[i] * (double)p[j];
        }
    }
}

/* The lanes in order, into the running means. */
static void add_up(clvi_white *w)
{
    const size_t all = w->blocks * w->n * w->n;
    const double n = gatherings(w), keep = fmin(KEEP, n / (n + 1)), share = (1 - keep) / (double)(SAMPLES * w->lanes);
    for (size_t i = 0; i < all; i++) {
        double sum = 0;
        for (size_t l = 0; l < w->lanes; l++)
            sum += w->sums[l * all + i];
        w->moments[i] = keep * w->moments[i] + share * sum;
    }
}

/* A + lambda I = L L' from the lower triangle of A; the one behind a patch is damped little. */
static void factor(double *l, const double *a, size_t n)
{
    double trace = 0; /* of the covariance: means may be a hundred times as large */
    for (size_t i = 0; i + 1 < n; i++)
        trace += a[i * n + i] - a[(n - 1) * n + i] * a[(n - 1) * n + i];
    const double lambda = DAMPING * fmax(trace, 0) / (double)n + 1e-9;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = a[i * n + j] + (i != j ? 0 : i + 1 < n ? lambda : 1e-6);
            for (size_t k = 0; k < j; k++)
                s -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = i == j ? sqrt(fmax(s, 1e-20)) : s / l[j * n + j];
        }
}

/* out = (L L')^-1, row by row (it is symmetric). */
static void invert(double *out, const double *l, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        double *const x = out + c * n;
        for (size_t i = 0; i < n; i++) {
            double s = i == c ? 1 : 0;
            for (size_t k = c; k < i; k++)
                s -= l[i * n + k] * x[k];
            x[i] = i < c ? 0 : s / l[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            double s = x[i];
            for (size_t k = i + 1; k < n; k++)
                s -= l[k * n + i] * x[k];
            x[i] = s / l[i * n + i];
        }
    }
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

/* Number i of row o of [weights, bias] in the vector `from`. */
static double entry(const clvi_white *w, const float *from, size_t o, size_t i)
{
    return i < w->taps ? (double)from[w->weight + o * w->taps + i] : w->has_bias ? (double)from[w->bias + o] : 0;
}

/* Standard deviations; an output that hardly moves counts for a tenth of the layer's mean. */
static void measure_sizes(clvi_white *w, const float *theta)
{
    const size_t n = w->n, outputs = w->blocks * w->rows;
    double *const row = w->room;
    double all = 0;
    for (size_t o = 0; o < outputs; o++) {
        const double *const a = w->moments + o / w->rows * n * n;
        double square = 0, mean = 0;
        for (size_t i = 0; i < n; i++) {
            row[i] = entry(w, theta, o, i);
            mean += row[i] * a[(n - 1) * n + i];
            square += row[i] * row[i] * a[i * n + i];
            for (size_t j = 0; j < i; j++)
                square += 2 * row[i] * row[j] * a[i * n + j];
        }
        w->size[o] = fmax(square - mean * mean, 0);
        all += w->size[o] / (double)outputs;
    }
    for (size_t o = 0; o < outputs; o++)
        w->size[o] = sqrt(fmax(w->size[o], 0.01 * all));
}

static void move_row(clvi_white *w, const clvi_white_step *s, size_t o, double fix1, double fix2)
{
    const size_t n = w->n;
    const double *const inverse = w->inverse + o / w->rows * n * n;
    double *const g = w->room, *const p = g + n;
    double q = 0;
    for (size_t i = 0; i < n; i++)
        g[i] = s->scale * entry(w, s->gradient, o, i);
    for (size_t i = 0; i < n; i++) {
        p[i] = 0;
        for (size_t j = 0; j < n; j++)
            p[i] += inverse[i * n + j] * g[j];
        q += p[i] * g[i];
    }
    float *const v = &s->v[w->weight + o * w->taps];
    *v = (float)(s->beta2 * (double)*v + (1 - s->beta2) * fmax(q, 0));
    const double unit = s->rate * w->size[o] * fix1 / (sqrt((double)*v * fix2) + 1e-20);
    for (size_t i = 0; i < n - !w->has_bias; i++) {
        const size_t at = i < w->taps ? w->weight + o * w->taps + i : w->bias + o;
        s->m[at] = (float)(s->beta1 * (double)s->m[at] + (1 - s->beta1) * p[i]);
        s->theta[at] -= (float)(unit * (double)s->m[at]);
    }
}

void clvi_white_move(clvi_white *w, const clvi_white_step *s)
{
    const size_t nn = w->n * w->n;
    if (is_due(w))
        add_up(w);
    *w->steps += 1;
    const int64_t t = (int64_t)*w->steps;
    for (size_t b = 0; b < w->blocks && (t % PERIOD == 1 || t == MEASURED + 1); b++) {
        factor(w->room + 2 * w->n, w->moments + b * nn, w->n);
        invert(w->inverse + b * nn, w->room + 2 * w->n, w->n);
    }
    if (t == MEASURED + 1 || t == 1)
        measure_sizes(w, s->theta);
    const double fix1 = 1 / (1 - pow(s->beta1, (double)t)), fix2 = 1 / (1 - pow(s->beta2, (double)t));
    for (size_t o = 0; o < w->blocks * w->rows; o++)
        move_row(w, s, o, fix1, fix2);
}
