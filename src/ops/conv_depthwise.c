/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, one plane at a time: output channel o reads input channel o / m, m = o / c the multiplier. */
#include <math.h>

#include "base/size.h"
#include "ops/conv_algo.h"

#define TASK_MACS 65536 /* planes are handed out in bundles of about this many multiply-adds */

typedef struct depthwise_run {
    const clvi_conv_job *job;
    clvi_dwconv_plane plane;
    size_t multiplier, bundle, bundles; /* input channels of a task; tasks of an image */
} depthwise_run;

static bool fits_depthwise(const clvi_conv_shape *s)
{
    return s->groups == s->c;
}

/* A vector reaches 16 columns of one row; what is beyond the row's end is lost. */
static double cost_depthwise(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    const double columns = (double)clvi_round_up((size_t)s->ow, kernels->gemm_f32.nr / 2);
    return (double)s->o * (double)s->oh * columns * (double)(s->kh * s->kw) * (s->sw <= 2 ? 1.3 : 16.0);
}

static size_t packed_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    (void)s;
    (void)kernels;
    return 0;
}

static size_t work_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels, int threads)
{
    (void)s;
    (void)kernels;
    (void)threads;
    return 0;
}

static void depthwise_task(void *arg, size_t index, int worker)
{
    const depthwise_run *run = arg;
    const clvi_conv_shape *s = run->job->shape;
    const size_t c = (size_t)s->c, m = run->multiplier, in = (size_t)(s->h * s->w), out = (size_t)(s->oh * s->ow);
    const size_t window = (size_t)(s->kh * s->kw), image = index / run->bundles;
    const size_t first = index % run->bundles * run->bundle, end = clvi_min_size(first + run->bundle, c);
    clvi_dwconv_plane plane = run->plane;
    (void)worker;
    for (size_t o = first * m; o < end * m; o++) {
        plane.bias = run->job->bias ? run->job->bias[o] : 0.0f;
        run->job->kernels->dwconv_f32(&plane, run->job->x + (image * c + o / m) * in, run->job->weights + o * window,
                                      run->job->y + (image * c * m + o) * out);
    }
}

static void run_depthwise(const clvi_conv_job *job)
{
    const clvi_conv_shape *s = job->shape;
    depthwise_run run = {.job = job,
                         .plane = {.h = (size_t)s->h,
                                   .w = (size_t)s->w,
                                   .oh = (size_t)s->oh,
                                   .ow = (size_t)s->ow,
                                   .kh = (size_t)s->kh,
                                   .kw = (size_t)s->kw,
                                   .sh = (size_t)s->sh,
                                   .sw = (size_t)s->sw,
                                   .dh = (size_t)s->dh,
                                   .dw = (size_t)s->dw,
                                   .pt = (ptrdiff_t)s->pt,
                                   .pl = (ptrdiff_t)s->pl,
                                   .lo = -INFINITY,
                                   .hi = INFINITY},
                         .multiplier = (size_t)(s->o / s->c)};
    const size_t macs = run.multiplier * (size_t)(s->oh * s->ow) * (size_t)(s->kh * s->kw);
    run.bundle = clvi_min_size(TASK_MACS / clvi_max_size(macs, 1) + 1, (size_t)s->c);
    run.bundles = ((size_t)s->c + run.bundle - 1) / run.bundle;
    clvi_pool_run(job->pool, (size_t)s->n * run.bundles, depthwise_task, &run);
}

const clvi_conv_algo clvi_conv_depthwise = {"depthwise", fits_depthwise, cost_depthwise, packed_bytes,
                                            NULL,        work_bytes,     run_depthwise};
