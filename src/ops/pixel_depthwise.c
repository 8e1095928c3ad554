/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, channels last: alone, or with the pointwise one behind it. There some output pixels are
 * filtered into a scratch that stays in L2 and are multiplied at once: the tensor between the two is never stored. With
 * multiplier m the scratch holds m groups of c channels, one for each filter; the pointwise weights are packed in that
 * order. A task is a range of rows, or of pixels where there are few rows. */
#include "base/mem.h"
#include "base/size.h"
#include "ops/pixels.h"

#define CHUNK_PIXELS    28           /* filtered before they are multiplied, about: rows, or equal parts of a row */
#define WEIGHTS_IN_L2   (768u << 10) /* bytes of pointwise weights that are read again for each chunk */
#define WEIGHTS_FOR_FEW (128u << 10) /* ... where threads would share few pixels and each would read all weights */
#define TASK_PIXELS     96           /* more tasks than threads only where each has this many */
#define TASKS           4            /* a thread, at most */
#define LINE            16           /* floats of a cache line */
#define SLICE_BYTES     (32u << 10)  /* of input rows that stay in L1 while their output rows are computed */
#define SLICE_MIN       256          /* channels from which the image is filtered a slice after the other ... */
#define SLICE_WIDTH     32           /* ... and the longest rows for which that was faster */

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

/* Channels [f * c + ch, ... + row->channels) of output pixels [first, first + count) of an image. */
static void filter_slice(const clvi_pixel_filter *p, const clvi_dwrow *row, size_t f, size_t ch, size_t first,
                         size_t count, float *y)
{
    const clvi_conv_shape *s = &p->conv->shape;
    const size_t c = (size_t)s->c, ow = (size_t)s->ow, taps = row->kh * row->kw;
    const float *const k = p->conv->weights + f * taps * c + ch;
    const float *const bias = p->conv->bias ? p->conv->bias + f * c + ch : NULL;
    size_t r = first / ow, q = first % ow;
    for (size_t n; count > 0; count -= n, y += n * row->y_ld, r++, q = 0) {
        const float *rows[CLVI_PIXEL_WINDOW];
        n = clvi_min_size(count, ow - q);
        for (size_t i = 0; i < row->kh; i++) {
            const ptrdiff_t at = (ptrdiff_t)(r * (size_t)s->sh + i * (size_t)s->dh) - s->pt;
            const size_t row_at = (size_t)at < p->ring ? (size_t)at : (size_t)at % p->ring;
            rows[i] = at < 0 || at >= s->h ? NULL : p->x + row_at * p->row_floats + ch;
        }
        p->kernels->dwrow_f32(row, rows, k, bias, y, q, n);
    }
}

static size_t slice_of(const clvi_pixel_filter *p, size_t count)
{
    const clvi_conv_shape *s = &p->conv->shape;
    if (p->row.channels < SLICE_MIN || p->row.w > SLICE_WIDTH || count <= (size_t)s->ow)
        return p->row.channels;
    const size_t lines = SLICE_BYTES / ((size_t)(s->kh + s->sh) * p->row.w * CLV_ALIGN);
    return clvi_max_size(1, clvi_min_size(lines, 4)) * (CLV_ALIGN / sizeof(float));
}

void clvi_pixel_filter_run(const clvi_pixel_filter *p, size_t first, size_t count, float *y)
{
    const size_t c = p->row.channels, filters = (size_t)p->conv->shape.o / c, slice = slice_of(p, count);
    clvi_dwrow row = p->row;
    for (size_t f = 0; f < filters; f++) {
        for (size_t ch = 0; ch < c; ch += slice) {
            row.channels = clvi_min_size(slice, c - ch);
            filter_slice(p, &row, f, ch, first, count, y + f * c + ch);
        }
        clvi_pixel_activate(p->kernels, &p->conv->act, y + f * c, count, f * c, c, row.y_ld);
    }
}

/* Pixels of all images are cut into `tasks` ranges, those into chunks. */
typedef struct pixels_run {
    const clvi_pixel_step *step;
    const clvi_pixel_conv *filter; /* the depthwise layer */
    size_t y_ld;                   /* of what it writes */
    size_t image, pixels;          /* output pixels of one and of all */
    size_t unit;                   /* pixels that a task has a multiple of: a row where there are enough of them */
    size_t tasks, chunk, scratch;  /* scratch: floats of one worker */
} pixels_run;

/* Rows cut at ever other places cost the kernel a sixth of its speed: its branches are guessed wrong. */
static size_t chunk_of(size_t ow)
{
    const size_t parts = (ow + CHUNK_PIXELS) / (CHUNK_PIXELS + 4);
    return parts > 1 ? (ow + parts - 1) / parts : clvi_max_size(1, (CHUNK_PIXELS + ow / 2) / ow) * ow;
}

/* Where task `index` begins. */
static size_t task_begin(const pixels_run *run, size_t index)
{
    return run->pixels / run->unit * index / run->tasks * run->unit;
}

static pixels_run describe(const clvi_pixel_step *step, const clvi_pixel_conv *filter, size_t y_ld)
{
    const clvi_conv_shape *s = &filter->shape;
    const size_t threads = (size_t)clvi_pool_threads(step->pool);
    pixels_run run = {.step = step, .filter = filter, .y_ld = y_ld, .image = (size_t)(s->oh * s->ow)};
    run.pixels = (size_t)s->n * run.image;
    run.tasks = threads == 1 ? 1 : threads * clvi_min_size(TASKS, 1 + run.pixels / (threads * TASK_PIXELS));
    run.chunk = chunk_of((size_t)s->ow);
    run.unit = (size_t)(s->n * s->oh) >= 3 * threads ? (size_t)s->ow : 1;
    return run;
}

/* Pixels of the chunk that begins at `first`: a part of a row ends with the row. */
static size_t chunk_size(const pixels_run *run, size_t first, size_t end)
{
    const size_t ow = (size_t)run->filter->shape.ow;
    return clvi_min_size(end - first, run->chunk < ow ? clvi_min_size(run->chunk, ow - first % ow) : run->chunk);
}

static clvi_pixel_filter filter_of(const pixels_run *run, size_t image)
{
    const clvi_pixel_conv *f = run->filter;
    const clvi_pixels *x = &run->step->x;
    return (clvi_pixel_filter){.kernels = run->step->kernels,
                               .conv = f,
                               .row = clvi_pixel_row(&f->shape, x->ld, run->y_ld, f->lo, f->hi),
                               .x = x->data + image * x->h * x->w * x->ld,
                               .ring = x->h,
                               .row_floats = x->w * x->ld};
}

/* Output pixels [first, first + count) of all images into y. */
static void filter_pixels(const pixels_run *run, size_t first, size_t count, float *y)
{
    for (size_t n; count > 0; count -= n, first += n, y += n * run->y_ld) {
        const clvi_pixel_filter filter = filter_of(run, first / run->image);
        n = clvi_min_size(count, run->image - first % run->image);
        clvi_pixel_filter_run(&filter, first % run->image, n, y);
    }
}

/* --- alone ------------------------------------------------------------------------------------------------------- */

static void pixels_task(void *arg, size_t index, int worker)
{
    const pixels_run *run = arg;
    const size_t end = task_begin(run, index + 1);
    (void)worker;
    for (size_t first = task_begin(run, index), n; first < end; first += n) {
        n = chunk_size(run, first, end);
        filter_pixels(run, first, n, run->step->y.data + first * run->y_ld);
    }
}

/* Few pixels: a slice of the channels of all of them. */
static void channels_task(void *arg, size_t index, int worker)
{
    const pixels_run *run = arg;
    const size_t c = run->step->y.c, lines = (c + LINE - 1) / LINE;
    const size_t first = lines * index / run->tasks * LINE;
    const size_t end = clvi_min_size(lines * (index + 1) / run->tasks * LINE, c);
    (void)worker;
    for (size_t image = 0; image * run->image < run->pixels; image++) {
        const clvi_pixel_filter filter = filter_of(run, image);
        float *const y = run->step->y.data + image * run->image * run->y_ld + first;
        clvi_dwrow row = filter.row;
        row.channels = end - first;
        filter_slice(&filter, &row, 0, first, 0, run->image, y);
        clvi_pixel_activate(filter.kernels, &filter.conv->act, y, run->image, first, row.channels, run->y_ld);
    }
}

static void run_depthwise(const clvi_pixel_step *step)
{
    pixels_run run = describe(step, &step->conv, step->y.ld);
    const size_t threads = (size_t)clvi_pool_threads(step->pool), lines = (step->y.c + LINE - 1) / LINE;
    const bool few = run.pixels < CLVI_PIXEL_MANY && lines >= TASKS * threads;
    if (few)
        run.tasks = clvi_min_size(lines / TASKS, TASKS * threads);
    else if (step->conv.act.kind == CLVI_ACT_NONE)
        run.chunk = run.pixels;
    clvi_pool_run(step->pool, run.tasks, few ? channels_task : pixels_task, &run);
}

const clvi_pixel_kind clvi_pixel_depthwise = {"depthwise, channels last", NULL, run_depthwise};

/* --- with the pointwise layer behind it -------------------------------------------------------------------------- */

bool clvi_pixel_separable_pays(const clvi_conv_shape *depthwise, const clvi_conv_shape *pointwise, int threads)
{
    const double weights = (double)pointwise->c * (double)pointwise->o * sizeof(float);
    const bool few = threads > 1 && pointwise->n * pointwise->oh * pointwise->ow < CLVI_PIXEL_MANY;
    return depthwise->o > depthwise->c || weights <= (few ? WEIGHTS_FOR_FEW : WEIGHTS_IN_L2);
}

static pixels_run describe_separable(const clvi_pixel_step *step)
{
    pixels_run run = describe(step, &step->depthwise, (size_t)step->depthwise.shape.o);
    run.scratch = clvi_round_up(run.chunk * run.y_ld, CLV_ALIGN / sizeof(float));
    return run;
}

static void separable_task(void *arg, size_t index, int worker)
{
    const pixels_run *run = arg;
    const clvi_pixel_step *step = run->step;
    const size_t end = task_begin(run, index + 1);
    float *const scratch = (float *)step->work + (size_t)worker * run->scratch;
    const clvi_pixel_source source = clvi_pixel_source_of(step, (size_t)worker, run->pixels);
    for (size_t first = task_begin(run, index), n; first < end; first += n) {
        n = chunk_size(run, first, end);
        filter_pixels(run, first, n, scratch);
        clvi_pixel_finish(step, &source, first, n, scratch, run->y_ld);
    }
}

static size_t separable_work(const clvi_pixel_step *step)
{
    return describe_separable(step).scratch * sizeof(float) * (size_t)clvi_pool_threads(step->pool);
}

static void run_separable(const clvi_pixel_step *step)
{
    pixels_run run = describe_separable(step);
    clvi_pool_run(step->pool, run.tasks, separable_task, &run);
}

const clvi_pixel_kind clvi_pixel_separable = {"depthwise + pointwise", separable_work, run_separable};
