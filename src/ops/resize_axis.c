// SPDX-License-Identifier: Apache-2.0
#include "ops/resize_axis.h"

#include <math.h>

bool clvi_resize_is_identity(const clvi_resize_axis *a)
{
    const bool cropped = a->coordinate == CLVI_TF_CROP_AND_RESIZE && (a->roi_begin != 0.0 || a->roi_end != 1.0);
    return a->in == a->out && a->num == a->den && !cropped;
}

static double coordinate(const clvi_resize_axis *a, int64_t x)
{
    const double in = (double)a->in, wide = in * a->den / a->num; /* the output's extent before it is floored */
    const double half = ((double)x + 0.5) * a->num / a->den - 0.5;
    switch (a->coordinate) {
    case CLVI_HALF_PIXEL_SYMMETRIC: /* the centres of the region and of the output coincide */
        return half + in / 2 * (1 - (double)a->out / wide);
    case CLVI_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? half : 0;
    case CLVI_ALIGN_CORNERS:
        return wide == 1.0 ? 0 : (double)x * (in - 1) / (wide - 1);
    case CLVI_ASYMMETRIC:
        return (double)x * a->num / a->den;
    case CLVI_TF_HALF_PIXEL_FOR_NN:
        return half + 0.5;
    case CLVI_TF_CROP_AND_RESIZE: {
        const double span = a->roi_end - a->roi_begin;
        const double at = a->out > 1 ? (double)x * span * (in - 1) / (wide - 1) : span * (in - 1) / 2;
        return a->roi_begin * (in - 1) + at;
    }
    default:
        return half;
    }
}

/* False also for NaN, which a hostile roi gives. */
static bool inside_region(const clvi_resize_axis *a, double at)
{
    return a->coordinate != CLVI_TF_CROP_AND_RESIZE || (at >= 0 && at <= (double)(a->in - 1));
}

/* To a valid index; NaN becomes 0. */
static int64_t clamp_index(double at, int64_t n)
{
    return !(at > 0) ? 0 : at > (double)(n - 1) ? n - 1 : (int64_t)at;
}

int64_t clvi_resize_nearest_index(const clvi_resize_axis *a, int64_t x)
{
    const double at = coordinate(a, x);
    if (!inside_region(a, at))
        return -1;
    const bool up = a->nearest == CLVI_NEAREST_CEIL || (a->nearest == CLVI_NEAREST_SIMPLE && a->den < a->num);
    const double nearest = up                                      ? ceil(at)
                           : a->nearest == CLVI_ROUND_PREFER_FLOOR ? ceil(at - 0.5)
                           : a->nearest == CLVI_ROUND_PREFER_CEIL  ? floor(at + 0.5)
                                                                   : floor(at);
    return clamp_index(nearest, a->in);
}

/* Antialias widens the filter by 1 / scale when shrinking. */
static double filter_scale(const clvi_resize_axis *a)
{
    const double scale = a->den / a->num;
    return a->antialias && scale < 1 ? scale : 1;
}

/* The first tap, relative to floor(coordinate): the filter's support is open, so -1 (or -2) itself weighs nothing. */
static int64_t first_tap(const clvi_resize_axis *a)
{
    return (int64_t)floor((a->cubic ? -2.0 : -1.0) / filter_scale(a)) + 1;
}

int64_t clvi_resize_taps(const clvi_resize_axis *a)
{
    return 2 - 2 * first_tap(a);
}

/* Triangle, or Keys' cubic with parameter cubic_a. */
static double filter(const clvi_resize_axis *a, double t)
{
    const double x = fabs(t), A = a->cubic_a;
    if (!a->cubic)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((A + 2) * x - (A + 3)) * x * x + 1;
    return x < 2 ? ((A * x - 5 * A) * x + 8 * A) * x - 4 * A : 0;
}

void clvi_resize_weights(const clvi_resize_axis *a, int64_t x, int64_t *index, float *weight)
{
    const double at = coordinate(a, x), base = floor(at), scale = filter_scale(a);
    const int64_t first = first_tap(a), taps = clvi_resize_taps(a);
    double sum = 0;
    for (int pass = 0; pass < 2; pass++) /* the sum, then the weights over it */
        for (int64_t i = 0; i < taps; i++) {
            const double tap = base + (double)(first + i);
            const bool excluded = a->exclude_outside && (tap < 0 || tap > (double)(a->in - 1));
            const double w = excluded ? 0 : filter(a, (tap - at) * scale);
            if (pass == 0) {
                sum += w;
            } else {
                index[i] = clamp_index(tap, a->in);
                weight[i] = (float)(sum < 0 || sum > 0 ? w / sum : w);
            }
        }
    if (!inside_region(a, at))
        index[0] = -1;
}
