/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, channels last. A maximum is taken of the window's rows, over their whole width at once, then of its columns;
 * a mean a pixel at a time, all its channels in one run. */
#include <math.h>

#include "base/size.h"
#include "ops/pixels.h"
#include "ops/walk.h"

#define BLOCK 256 /* channels whose sums are on the stack */

/* Taps of output o along axis a that count: inside the input, or inside the padded input; [*lo, *hi) those inside. */
static int64_t taps(const clvi_pool_shape *s, int a, int64_t o, bool padded, int64_t *lo, int64_t *hi)
{
    int64_t count = 0;
    *lo = s->kernel[a];
    *hi = 0;
    for (int64_t k = 0; k < s->kernel[a]; k++) {
        const int64_t at = o * s->stride[a] + k * s->dilation[a] - s->begin[a];
        const bool inside = at >= 0 && at < s->in[a];
        if (inside) {
            *lo = k < *lo ? k : *lo;
            *hi = k + 1;
        }
        count += inside || (padded && at < s->in[a] + s->end[a]);
    }
    return count;
}

typedef struct pixel_window {
    const float *x; /* of the image */
    int64_t lo[2], hi[2], at[2];
} pixel_window;

static const float *tap(const clvi_pixel_step *step, const pixel_window *p, int64_t i, int64_t j)
{
    const clvi_pool_shape *s = &step->window;
    const int64_t row = p->at[0] * s->stride[1] + i * s->dilation[1] - s->begin[1];
    const int64_t column = p->at[1] * s->stride[2] + j * s->dilation[2] - s->begin[2];
    return p->x + (size_t)(row * s->in[2] + column) * step->x.ld;
}

/* to[c] = the maximum of `count` rows of c floats, `stride` apart; more than there are pointers are taken bit by bit.
 */
static void maximum(const clvi_kernels *kernels, const float *from, size_t count, size_t stride, float *to, size_t c)
{
    const float *rows[CLVI_PIXEL_WINDOW + 1];
    size_t n = 0;
    bool begun = false;
    for (size_t i = 0; i < count; i++) {
        if (n == CLVI_PIXEL_WINDOW) {
            if (begun)
                rows[n++] = to;
            kernels->maxrows_f32(n, rows, to, c);
            begun = true;
            n = 0;
        }
        rows[n++] = from + i * stride;
    }
    if (begun)
        rows[n++] = to;
    kernels->maxrows_f32(n, rows, to, c);
}

static size_t taps_inside(const pixel_window *p, int a)
{
    return p->hi[a] > p->lo[a] ? (size_t)(p->hi[a] - p->lo[a]) : 0;
}

/* Row p->at[0] of the output; line: scratch of the input's width. */
static void maximum_row(const clvi_pixel_step *step, pixel_window *p, float *line, float *y)
{
    const clvi_pool_shape *s = &step->window;
    const size_t w = step->x.w, ld = step->x.ld, down = taps_inside(p, 0);
    const size_t length =
        (w - 1) * ld + step->x.c; /* where channels of others lie between, their maximum is not read */
    const int64_t top = p->at[0] * s->stride[1] + p->lo[0] * s->dilation[1] - s->begin[1];
    maximum(step->kernels, down ? p->x + (size_t)top * w * ld : p->x, down, (size_t)s->dilation[1] * w * ld, line,
            length);
    for (p->at[1] = 0; p->at[1] < s->out[2]; p->at[1]++, y += step->y.ld) {
        (void)taps(s, 2, p->at[1], false, &p->lo[1], &p->hi[1]);
        const size_t across = taps_inside(p, 1);
        const int64_t left = p->at[1] * s->stride[2] + p->lo[1] * s->dilation[2] - s->begin[2];
        maximum(step->kernels, across ? line + (size_t)left * ld : line, across, (size_t)s->dilation[2] * ld, y,
                step->y.c);
    }
}

static void pool_mean(const clvi_pixel_step *step, const pixel_window *p, int64_t count, float *y)
{
    double sum[BLOCK];
    for (size_t first = 0; first < step->y.c; first += BLOCK) {
        const size_t n = clvi_min_size(BLOCK, step->y.c - first);
        for (size_t ch = 0; ch < n; ch++)
            sum[ch] = 0;
        for (int64_t i = p->lo[0]; i < p->hi[0]; i++)
            for (int64_t j = p->lo[1]; j < p->hi[1]; j++) {
                const float *const x = tap(step, p, i, j) + first;
                for (size_t ch = 0; ch < n; ch++)
                    sum[ch] += (double)x[ch];
            }
        for (size_t ch = 0; ch < n; ch++)
            y[first + ch] = (float)(count > 0 ? sum[ch] / (double)count : 0.0);
    }
}

typedef struct pool_run {
    const clvi_pixel_step *step;
    size_t rows, tasks, line; /* rows of all images; floats of a worker's scratch */
} pool_run;

static size_t line_floats(const clvi_pixel_step *step)
{
    return step->maximum ? clvi_round_up(step->x.w * step->x.ld, CLV_ALIGN / sizeof(float)) : 0;
}

static void pool_task(void *arg, size_t index, int worker)
{
    const pool_run *run = arg;
    const clvi_pixel_step *step = run->step;
    const clvi_pool_shape *s = &step->window;
    for (size_t r = run->rows * index / run->tasks; r < run->rows * (index + 1) / run->tasks; r++) {
        const size_t oh = (size_t)s->out[1], image = r / oh;
        pixel_window p = {.x = step->x.data + image * step->x.h * step->x.w * step->x.ld, .at = {(int64_t)(r % oh)}};
        float *y = step->y.data + r * (size_t)s->out[2] * step->y.ld;
        const int64_t down = taps(s, 1, p.at[0], step->count_pads, &p.lo[0], &p.hi[0]);
        if (step->maximum) {
            maximum_row(step, &p, (float *)step->work + (size_t)worker * run->line, y);
            continue;
        }
        for (p.at[1] = 0; p.at[1] < s->out[2]; p.at[1]++, y += step->y.ld) {
            const int64_t across = taps(s, 2, p.at[1], step->count_pads, &p.lo[1], &p.hi[1]);
            pool_mean(step, &p, down * across, y);
        }
    }
}

static size_t pool_work(const clvi_pixel_step *step)
{
    return line_floats(step) * sizeof(float) * (size_t)clvi_pool_threads(step->pool);
}

static void run_pool(const clvi_pixel_step *step)
{
    const clvi_pool_shape *s = &step->window;
    const size_t work = (size_t)s->out[2] * (size_t)s->kernel[1] * (size_t)s->kernel[2] * step->y.c;
    pool_run run = {.step = step, .rows = step->y.n * (size_t)s->out[1], .line = line_floats(step)};
    run.tasks = clvi_max_size(1, clvi_min_size(run.rows, run.rows * work / 32768));
    clvi_pool_run(step->pool, run.tasks, pool_task, &run);
}

const clvi_pixel_kind clvi_pixel_pool = {"pooling, channels last", pool_work, run_pool};

/* Sums of a row of pixels in float, as a window that covers the row; of rows in double, in order. Threads share rows,
 * so that each reads what it has just written. work: the sums [n * h, c], then c ones. */
static void mean_rows(void *arg, int64_t begin, int64_t end)
{
    const clvi_pixel_step *step = arg;
    const clvi_pixels *x = &step->x;
    float *const sums = step->work;
    const clvi_dwrow row = {.channels = x->c,
                            .w = x->w,
                            .kh = 1,
                            .kw = x->w,
                            .sw = 1,
                            .dw = 1,
                            .x_ld = x->ld,
                            .y_ld = x->c,
                            .lo = -INFINITY,
                            .hi = INFINITY};
    for (size_t r = (size_t)begin; r < (size_t)end; r++) {
        const float *const from = x->data + r * x->w * x->ld;
        step->kernels->dwrow_f32(&row, &from, sums + x->n * x->h * x->c, NULL, sums + r * x->c, 0, 1);
    }
}

static size_t mean_work(const clvi_pixel_step *step)
{
    return (step->x.n * step->x.h + 1) * step->x.c * sizeof(float);
}

static void run_global_mean(const clvi_pixel_step *step)
{
    const clvi_pixels *x = &step->x;
    float *const sums = step->work, *const ones = sums + x->n * x->h * x->c;
    for (size_t ch = 0; ch < x->c; ch++)
        ones[ch] = 1.0f;
    clvi_split_range(step->pool, (int64_t)(x->n * x->h), 1 + (int64_t)(16384 / (x->w * x->c + 1)), mean_rows,
                     (void *)(uintptr_t)step);
    for (size_t image = 0; image < x->n; image++) {
        for (size_t first = 0; first < x->c; first += BLOCK) {
            const size_t n = clvi_min_size(BLOCK, x->c - first);
            double total[BLOCK] = {0};
            for (size_t r = 0; r < x->h; r++)
                for (size_t ch = 0; ch < n; ch++)
                    total[ch] += (double)sums[(image * x->h + r) * x->c + first + ch];
            for (size_t ch = 0; ch < n; ch++)
                step->y.data[image * step->y.ld + first + ch] = (float)(total[ch] / (double)(x->h * x->w));
        }
    }
}

const clvi_pixel_kind clvi_pixel_global_mean = {"global mean, channels last", mean_work, run_global_mean};
