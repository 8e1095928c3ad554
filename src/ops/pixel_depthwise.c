/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, channels last: alone, or with the pointwise one behind it. There a few output rows are
 * filtered into a scratch that stays in L2 and are multiplied at once: the tensor between the two is never stored. With
 * multiplier m the scratch holds m groups of c channels, one for each filter; the pointwise weights are packed in that
 * order. */
#include "base/mem.h"
#include "base/size.h"
#include "ops/pixels.h"

#define TASK_MACS     65536        /* rows are handed out in bundles of about this many multiply-adds */
#define CHUNK_PIXELS  48           /* filtered before they are multiplied, where a row is not longer */
#define WEIGHTS_IN_L2 (768u << 10) /* bytes of pointwise weights that are read again for each chunk */

typedef struct rows_run {
    const clvi_pixel_step *step;
    const clvi_pixel_conv *filter; /* the depthwise layer */
    clvi_dwrow row;
    size_t rows, tasks; /* output rows of all images */
    size_t scratch;     /* floats of one worker */
} rows_run;

static size_t part_begin(size_t n, size_t parts, size_t i)
{
    return n / parts * i + clvi_min_size(i, n % parts);
}

clvi_dwrow clvi_pixel_row(const clvi_conv_shape *s, size_t x_ld, size_t y_ld, float lo, float hi)
{
    return (clvi_dwrow){.channels = (size_t)s->c,
                        .w = (size_t)s->w,
                        .kh = (size_t)s->kh,
                        .kw = (size_t)s->kw,
                        .sw = (size_t)s->sw,
                        .dw = (size_t)s->dw,
                        .x_ld = x_ld,
                        .y_ld = y_ld,
                        .k_ld = (size_t)s->c,
                        .pl = (ptrdiff_t)s->pl,
                        .lo = lo,
                        .hi = hi};
}

static rows_run describe(const clvi_pixel_step *step, const clvi_pixel_conv *filter, size_t y_ld)
{
    return (rows_run){.step = step,
                      .filter = filter,
                      .row = clvi_pixel_row(&filter->shape, step->x.ld, y_ld, filter->lo, filter->hi),
                      .rows = (size_t)(filter->shape.n * filter->shape.oh)};
}

void clvi_pixel_filter_row(const clvi_pixel_step *step, const clvi_pixel_conv *filter, const clvi_dwrow *row,
                           const float *const *rows, float *y)
{
    const size_t c = row->channels, taps = row->kh * row->kw, ow = (size_t)filter->shape.ow;
    for (size_t f = 0; f < (size_t)filter->shape.o / c; f++) {
        step->kernels->dwrow_f32(row, rows, filter->weights + f * taps * c, filter->bias ? filter->bias + f * c : NULL,
                                 y + f * c, 0, ow);
        clvi_pixel_activate(step->kernels, filter->act, y + f * c, ow, c, row->y_ld);
    }
}

/* Output row `index` of all images into y. */
static void filter_row(const rows_run *run, size_t index, float *y)
{
    const clvi_conv_shape *s = &run->filter->shape;
    const clvi_pixels *x = &run->step->x;
    const size_t oh = (size_t)s->oh, image = index / oh, r = index % oh;
    const float *rows[CLVI_PIXEL_WINDOW];
    for (size_t i = 0; i < (size_t)s->kh; i++) {
        const ptrdiff_t at = (ptrdiff_t)(r * (size_t)s->sh + i * (size_t)s->dh) - s->pt;
        rows[i] = at < 0 || at >= s->h ? NULL : x->data + (image * x->h + (size_t)at) * x->w * x->ld;
    }
    clvi_pixel_filter_row(run->step, run->filter, &run->row, rows, y);
}

/* --- alone ------------------------------------------------------------------------------------------------------- */

static void depthwise_task(void *arg, size_t index, int worker)
{
    const rows_run *run = arg;
    const clvi_pixels *y = &run->step->y;
    (void)worker;
    for (size_t r = part_begin(run->rows, run->tasks, index); r < part_begin(run->rows, run->tasks, index + 1); r++)
        filter_row(run, r, y->data + r * y->w * y->ld);
}

static void run_depthwise(const clvi_pixel_step *step)
{
    const clvi_conv_shape *s = &step->conv.shape;
    rows_run run = describe(step, &step->conv, step->y.ld);
    const size_t macs = (size_t)(s->o * s->ow * s->kh * s->kw);
    run.tasks = clvi_min_size(run.rows, run.rows * macs / TASK_MACS + 1);
    if (clvi_pool_threads(step->pool) == 1)
        run.tasks = 1;
    clvi_pool_run(step->pool, run.tasks, depthwise_task, &run);
}

const clvi_pixel_kind clvi_pixel_depthwise = {"depthwise, channels last", NULL, run_depthwise};

/* --- with the pointwise layer behind it -------------------------------------------------------------------------- */

bool clvi_pixel_separable_pays(const clvi_conv_shape *depthwise, const clvi_conv_shape *pointwise)
{
    const double weights = (double)pointwise->c * (double)pointwise->o * sizeof(float);
    return depthwise->o > depthwise->c || weights <= WEIGHTS_IN_L2;
}

static rows_run describe_separable(const clvi_pixel_step *step)
{
    const clvi_conv_shape *s = &step->depthwise.shape;
    const size_t threads = (size_t)clvi_pool_threads(step->pool), ow = (size_t)s->ow;
    rows_run run = describe(step, &step->depthwise, (size_t)s->o);
    const size_t chunk = clvi_max_size(1, CHUNK_PIXELS / ow);
    run.tasks = (run.rows + chunk - 1) / chunk;
    if (threads > 1)
        run.tasks = clvi_min_size(run.rows, clvi_round_up(run.tasks, 2 * threads));
    run.scratch = clvi_round_up((run.rows + run.tasks - 1) / run.tasks * ow * (size_t)s->o, CLV_ALIGN / sizeof(float));
    return run;
}

static void separable_task(void *arg, size_t index, int worker)
{
    const rows_run *run = arg;
    const clvi_pixel_step *step = run->step;
    const size_t first = part_begin(run->rows, run->tasks, index), end = part_begin(run->rows, run->tasks, index + 1);
    const size_t ow = (size_t)run->filter->shape.ow, k = (size_t)run->filter->shape.o;
    float *const scratch = (float *)step->work + (size_t)worker * run->scratch;
    const size_t pixel = first * ow;
    for (size_t r = first; r < end; r++)
        filter_row(run, r, scratch + (r - first) * ow * k);
    const clvi_pixel_product product = {.gemm = &step->kernels->pixel_gemm_f32,
                                        .x = scratch,
                                        .weights = step->conv.weights,
                                        .bias = step->conv.bias,
                                        .add = step->add.data ? step->add.data + pixel * step->add.ld : NULL,
                                        .y = step->y.data + pixel * step->y.ld,
                                        .k = k,
                                        .n = step->y.c,
                                        .x_ld = k,
                                        .y_ld = step->y.ld,
                                        .add_ld = step->add.ld,
                                        .lo = step->conv.lo,
                                        .hi = step->conv.hi};
    clvi_pixel_product_run(&product, (end - first) * ow);
    clvi_pixel_activate(step->kernels, step->conv.act, product.y, (end - first) * ow, step->y.c, step->y.ld);
}

static size_t separable_work(const clvi_pixel_step *step)
{
    return describe_separable(step).scratch * sizeof(float) * (size_t)clvi_pool_threads(step->pool);
}

static void run_separable(const clvi_pixel_step *step)
{
    rows_run run = describe_separable(step);
    clvi_pool_run(step->pool, run.tasks, separable_task, &run);
}

const clvi_pixel_kind clvi_pixel_separable = {"depthwise + pointwise", separable_work, run_separable};
