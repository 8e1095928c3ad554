/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise (or the first layer, which reads a picture), depthwise and, if the step has it, pointwise (an inverted
 * residual) depth-first over rows. A ring holds as many expanded rows as the window reaches over; for each few output
 * rows the missing ones are expanded, the window is applied into a scratch and that is multiplied at once. The wide
 * tensor exists a few rows at a time, in L2. A task is a band of output rows; bands expand the rows at their borders
 * twice. */
#include "base/mem.h"
#include "base/size.h"
#include "ops/pixels.h"

#define CHUNK_PIXELS 96           /* output pixels done together, where a row has not more */
#define CHUNK_BYTES  (192u << 10) /* of their filtered rows, at most */
#define PICTURE      4            /* channels of one, at most */
#define WIDE_BYTES   (512u << 10) /* of an image's expanded tensor, from which it pays not to store it */

bool clvi_pixel_expands(const clvi_conv_shape *expand)
{
    return clvi_pixel_is_pointwise(expand) ||
           (expand->groups == 1 && expand->c <= PICTURE && expand->kh * expand->kw <= CLVI_PIXEL_TAPS &&
            clvi_pixel_conv_fits(expand));
}

bool clvi_pixel_inverted_pays(const clvi_conv_shape *expand)
{
    const double wide = (double)(expand->o * expand->oh * expand->ow) * sizeof(float);
    return wide > WIDE_BYTES;
}

typedef struct bands_run {
    const clvi_pixel_step *step;
    const clvi_pixel_conv *filter; /* the depthwise layer; step->conv itself when it is the last */
    clvi_dwrow row;
    size_t bands, chunk, ring;           /* of an image; output rows done together; expanded rows kept */
    size_t row_floats, ring_floats, all; /* of an expanded row, of the ring, of one worker */
} bands_run;

static bands_run describe(const clvi_pixel_step *step)
{
    const bool last = !step->depthwise.weights;
    const clvi_pixel_conv *filter = last ? &step->conv : &step->depthwise;
    const clvi_conv_shape *s = &filter->shape;
    const size_t threads = (size_t)clvi_pool_threads(step->pool), oh = (size_t)s->oh, ow = (size_t)s->ow;
    bands_run run = {.step = step,
                     .filter = filter,
                     .row = clvi_pixel_row(s, (size_t)s->c, last ? step->y.ld : (size_t)s->o, filter->lo, filter->hi),
                     .bands = 1};
    const size_t pixels = clvi_min_size(CHUNK_PIXELS, CHUNK_BYTES / ((size_t)s->o * sizeof(float)));
    run.chunk = clvi_min_size(oh, clvi_max_size(1, pixels / ow));
    if (threads > 1)
        run.bands = clvi_min_size(oh, clvi_max_size(threads, clvi_min_size(2 * threads, oh / 8)));
    run.ring = (run.chunk - 1) * (size_t)s->sh + (size_t)s->kh;
    run.row_floats = (size_t)(s->w * s->c);
    run.ring_floats = clvi_round_up(run.ring * run.row_floats, CLV_ALIGN / sizeof(float));
    run.all = run.ring_floats + (last ? 0 : clvi_round_up(run.chunk * ow * (size_t)s->o, CLV_ALIGN / sizeof(float)));
    return run;
}

/* Rows [at, at + n) of an image's expanded tensor, which do not wrap around in the ring, made by the first layer. */
static void expand_rows(const bands_run *run, size_t image, size_t at, size_t n, float *ring,
                        const clvi_pixel_source *source)
{
    const clvi_pixel_step *step = run->step;
    const clvi_pixel_conv *expand = &step->expand;
    const size_t wide = (size_t)expand->shape.o, h = (size_t)expand->shape.oh, w = (size_t)expand->shape.ow;
    const bool last = run->filter == &step->conv; /* else the layer behind the filter fetches weights */
    float *const y = ring + at % run->ring * run->row_floats;
    if (!clvi_pixel_is_pointwise(&expand->shape)) {
        clvi_pixel_conv_run(step, expand, (image * h + at) * w, n * w, y);
        return;
    }
    const clvi_pixel_product product = {.kernels = step->kernels,
                                        .x = step->x.data + (image * h + at) * w * step->x.ld,
                                        .weights = expand->weights,
                                        .bias = expand->bias,
                                        .y = y,
                                        .k = step->x.c,
                                        .n = wide,
                                        .x_ld = step->x.ld,
                                        .y_ld = wide,
                                        .lo = expand->lo,
                                        .hi = expand->hi,
                                        .act = &expand->act,
                                        .source = last ? source : NULL,
                                        .first = at,
                                        .count = n};
    clvi_pixel_product_run(&product, n * w);
}

static void band_task(void *arg, size_t index, int worker)
{
    const bands_run *run = arg;
    const clvi_pixel_step *step = run->step;
    const clvi_conv_shape *s = &run->filter->shape;
    const size_t oh = (size_t)s->oh, image = index / run->bands, band = index % run->bands;
    const size_t begin = oh * band / run->bands, end = oh * (band + 1) / run->bands;
    float *const ring = (float *)step->work + (size_t)worker * run->all, *const scratch = ring + run->ring_floats;
    const size_t ow = (size_t)s->ow;
    const clvi_pixel_filter filter = {.kernels = step->kernels,
                                      .conv = run->filter,
                                      .row = run->row,
                                      .x = ring,
                                      .ring = run->ring,
                                      .row_floats = run->row_floats};
    const bool last = run->filter == &step->conv; /* then rows are counted, else output pixels */
    const clvi_pixel_source source =
        clvi_pixel_source_of(step, (size_t)worker, last ? (size_t)step->expand.shape.oh : step->x.n * oh * ow);
    size_t next = 0; /* input row to expand */
    for (size_t r = begin; r < end; r += run->chunk) {
        const size_t stop = clvi_min_size(r + run->chunk, end), pixels = (stop - r) * ow;
        const ptrdiff_t low = (ptrdiff_t)(r * (size_t)s->sh) - s->pt;
        const ptrdiff_t high = (ptrdiff_t)((stop - 1) * (size_t)s->sh + (size_t)s->kh) - s->pt; /* exclusive */
        const size_t until = high < 0 ? 0 : clvi_min_size((size_t)high, (size_t)s->h);
        next = low > (ptrdiff_t)next ? (size_t)low : next;
        for (size_t n; next < until; next += n) {
            n = clvi_min_size(until - next, run->ring - next % run->ring);
            expand_rows(run, image, next, n, ring, &source);
        }
        const size_t pixel = (image * oh + r) * ow;
        if (last) {
            clvi_pixel_filter_run(&filter, r * ow, pixels, step->y.data + pixel * step->y.ld);
        } else {
            clvi_pixel_filter_run(&filter, r * ow, pixels, scratch);
            clvi_pixel_finish(step, &source, pixel, pixels, scratch, (size_t)s->o);
        }
    }
}

static size_t inverted_work(const clvi_pixel_step *step)
{
    return describe(step).all * sizeof(float) * (size_t)clvi_pool_threads(step->pool);
}

static void run_inverted(const clvi_pixel_step *step)
{
    bands_run run = describe(step);
    clvi_pool_run(step->pool, step->x.n * run.bands, band_task, &run);
}

const clvi_pixel_kind clvi_pixel_inverted = {"pointwise + depthwise + pointwise", inverted_work, run_inverted};
const clvi_pixel_kind clvi_pixel_expanded = {"pointwise + depthwise", inverted_work, run_inverted};
const clvi_pixel_kind clvi_pixel_first = {"convolution + depthwise + pointwise", inverted_work, run_inverted};
const clvi_pixel_kind clvi_pixel_first_two = {"convolution + depthwise", inverted_work, run_inverted};
