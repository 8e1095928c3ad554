/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, channels last. Output pixels are cut into tiles; a tile's rows of A are pointers to input pixels, a tap
 * of the window after the other, so nothing is copied; a tap outside the image points to zeros. Weights are packed
 * [panel of nr filters][tap][channel][nr]. Where the channels of a window row follow each other without a gap and the
 * whole tile lies inside the image, a window row is taken as one tap: the same sums in the same order, fewer pointers.
 *
 * A task is a range of panels times a range of tiles. It takes the tiles in blocks whose pixels stay in L2, and for
 * each block panel after panel, while the weights behind them are fetched into L2. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_product.h"
#include "ops/pixels.h"

#define MAX_MR      16
#define BLOCK_BYTES (640u << 10) /* of input pixels that a task keeps coming back to */
#define BLOCK_TILES 16
#define FEW_PIXELS  64 /* below: tiles of two rows less. 49 in 5 tiles are 4 % faster than in 4 */
#define TASKS       4  /* a thread, for others to take when it is late */

bool clvi_pixel_is_depthwise(const clvi_conv_shape *s)
{
    return s->groups == s->c && s->groups > 1;
}

bool clvi_pixel_is_pointwise(const clvi_conv_shape *s)
{
    return s->groups == 1 && s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->pt == 0 && s->pl == 0 &&
           s->pb == 0 && s->pr == 0;
}

bool clvi_pixel_conv_fits(const clvi_conv_shape *s)
{
    if (s->rank != 4 || s->kh > CLVI_PIXEL_WINDOW || s->kw > CLVI_PIXEL_WINDOW || s->n < 1 || s->oh < 1 || s->ow < 1 ||
        s->c < 1 || s->o < 1)
        return false;
    return s->groups == 1 || (clvi_pixel_is_depthwise(s) && s->o == s->c);
}

typedef struct conv_run {
    const clvi_pixel_step *step;
    const float *zeros;
    size_t taps, depth, pixels, panels, panel_floats;
    clvi_panels tiles;                /* of pixels */
    size_t panel_blocks, tile_blocks; /* tasks */
    bool by_tiles;                    /* tasks of the same tiles follow each other; else those of the same panels */
    size_t block;                     /* tiles that a panel is used for before the next one */
    size_t tile_rows, rows_bytes;     /* pointers of a tile; bytes of the pointers of one worker */
    size_t scaled_bytes;              /* of the block's input times step->scale, behind the pointers; 0: no scale */
} conv_run;

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Many pixels: threads share them, as they do in the steps before and behind, so that each finds its part in its own
 * cache. Few: they share the panels, so that each reads its part of the weights; where these are few, too, both. */
static void split_run(conv_run *run, size_t threads)
{
    run->panel_blocks = run->tile_blocks = 1;
    run->by_tiles = !clvi_pixel_by_panels(run->step);
    const size_t tasks = run->step->scale.c > 0 ? 1 : TASKS; /* each scales the pixels for itself */
    if (threads == 1)
        return;
    if (run->tiles.count >= 6 * TASKS * threads) {
        run->tile_blocks = TASKS * threads;
    } else if (run->by_tiles) {
        run->tile_blocks = clvi_min_size(run->tiles.count, threads);
        run->panel_blocks = clvi_min_size(run->panels, tasks == 1 ? 1 : 2 * tasks);
    } else {
        run->panel_blocks = clvi_min_size(run->panels, 2 * tasks * threads);
        if (run->panel_blocks < 2 * tasks * threads)
            run->tile_blocks = clvi_min_size(run->tiles.count, 2);
    }
}

static conv_run plan_run(const clvi_pixel_step *step)
{
    const clvi_conv_shape *s = &step->conv.shape;
    const clvi_pixel_gemm_f32 *gemm = &step->kernels->pixel_gemm_f32;
    const size_t threads = (size_t)clvi_pool_threads(step->pool);
    conv_run run = {.step = step, .taps = (size_t)(s->kh * s->kw), .depth = (size_t)s->c};
    run.pixels = (size_t)(s->n * s->oh * s->ow);
    run.tiles = clvi_panels_of(run.pixels, run.pixels < FEW_PIXELS ? gemm->mr - gemm->mr / 7 : gemm->mr);
    run.panels = ceil_div((size_t)s->o, gemm->nr);
    run.panel_floats = run.taps * run.depth * gemm->nr;
    run.zeros = step->conv.weights ? step->conv.weights + run.panels * run.panel_floats : NULL;
    split_run(&run, threads);
    const size_t tile_bytes = gemm->mr * (size_t)(s->sh * s->sw) * run.depth * sizeof(float);
    run.block = clvi_min_size(BLOCK_TILES, clvi_max_size(1, BLOCK_BYTES / tile_bytes));
    run.tile_rows = run.taps * gemm->mr;
    run.rows_bytes = clvi_round_up(run.block * run.tile_rows * sizeof(float *), CLV_ALIGN);
    if (step->scale.c > 0)
        run.scaled_bytes = clvi_round_up(run.block * gemm->mr * run.depth * sizeof(float), CLV_ALIGN);
    return run;
}

static size_t part_begin(size_t n, size_t parts, size_t i)
{
    return n * i / parts;
}

/* Are the window rows of pixels [q, q + m) of output row r whole, and each one run of floats? */
static bool can_merge(const clvi_pixel_step *step, size_t r, size_t q, size_t m)
{
    const clvi_conv_shape *s = &step->conv.shape;
    const ptrdiff_t row = (ptrdiff_t)(r * (size_t)s->sh) - s->pt, column = (ptrdiff_t)(q * (size_t)s->sw) - s->pl;
    return s->kw > 1 && s->dw == 1 && step->x.ld == step->x.c && q + m <= (size_t)s->ow && row >= 0 &&
           row + (s->kh - 1) * s->dh < s->h && column >= 0 && column + (ptrdiff_t)(m - 1) * s->sw + s->kw <= s->w;
}

/* Where an output pixel is. */
typedef struct place {
    size_t image, r, q;
} place;

static place place_of(const conv_run *run, size_t pixel)
{
    const size_t oh = (size_t)run->step->conv.shape.oh, ow = (size_t)run->step->conv.shape.ow, line = pixel / ow;
    return (place){line / oh, line % oh, pixel % ow};
}

/* m pixels on: without a division, since a loop over tiles has no time for one. */
static place move_on(const conv_run *run, place at, size_t m)
{
    const size_t oh = (size_t)run->step->conv.shape.oh, ow = (size_t)run->step->conv.shape.ow;
    for (at.q += m; at.q >= ow; at.q -= ow)
        at = at.r + 1 < oh ? (place){at.image, at.r + 1, at.q} : (place){at.image + 1, 0, at.q};
    return at;
}

/* Row pointers of m output pixels of one row: rows[tap * mr], each tap's side by side. */
static void point_row(const conv_run *run, place at, size_t m, const float **rows)
{
    const clvi_conv_shape *s = &run->step->conv.shape;
    const clvi_pixels *x = &run->step->x;
    const size_t mr = run->step->kernels->pixel_gemm_f32.mr, ld = x->ld;
    const float *const base = x->data + at.image * x->h * x->w * ld;
    const ptrdiff_t left = (ptrdiff_t)(at.q * (size_t)s->sw) - s->pl, step = s->sw, w = s->w;
    for (int64_t a = 0; a < s->kh; a++) {
        const ptrdiff_t row = (ptrdiff_t)(at.r * (size_t)s->sh) + a * s->dh - s->pt;
        const bool inside = row >= 0 && row < s->h;
        const float *const line = base + (inside ? row * w * (ptrdiff_t)ld : 0);
        for (int64_t b = 0; b < s->kw; b++, rows += mr) {
            ptrdiff_t column = left + b * s->dw;
            size_t i = 0;
            for (; i < m && (!inside || column < 0); i++, column += step)
                rows[i] = run->zeros;
            for (; i < m && column < w; i++, column += step)
                rows[i] = line + column * (ptrdiff_t)ld;
            for (; i < m; i++)
                rows[i] = run->zeros;
        }
    }
}

/* Pointers for m output pixels from `at` on, the first-th of all: rows[tap][i]. Returns whether window rows were merged
 * into one tap. */
static bool point(const conv_run *run, place at, size_t first, size_t m, const float **rows)
{
    const clvi_conv_shape *s = &run->step->conv.shape;
    const clvi_pixels *x = &run->step->x;
    if (clvi_pixel_is_pointwise(s)) {
        const float *pixel = x->data + first * x->ld;
        for (size_t i = 0; i < m; i++, pixel += x->ld)
            rows[i] = pixel;
        return false;
    }
    const size_t mr = run->step->kernels->pixel_gemm_f32.mr, ow = (size_t)s->ow;
    if (can_merge(run->step, at.r, at.q, m)) {
        const size_t row = at.r * (size_t)s->sh - (size_t)s->pt, column = at.q * (size_t)s->sw - (size_t)s->pl;
        const float *from = x->data + ((at.image * x->h + row) * x->w + column) * x->ld;
        for (int64_t a = 0; a < s->kh; a++, from += (size_t)s->dh * x->w * x->ld, rows += mr)
            for (size_t i = 0; i < m; i++)
                rows[i] = from + i * (size_t)s->sw * x->ld;
        return true;
    }
    for (size_t i = 0, n; i < m; i += n) {
        n = clvi_min_size(m - i, ow - at.q);
        point_row(run, at, n, rows + i);
        at = move_on(run, at, n);
    }
    return false;
}

static void conv_tile(const conv_run *run, size_t tile, size_t panel, bool merged, const float *const *rows,
                      const clvi_pixel_tile *fetch)
{
    const clvi_pixel_step *step = run->step;
    const clvi_pixel_conv *conv = &step->conv;
    const clvi_pixel_gemm_f32 *gemm = &step->kernels->pixel_gemm_f32;
    const size_t o = (size_t)conv->shape.o, kw = (size_t)conv->shape.kw, column = panel * gemm->nr;
    const size_t first = clvi_panel_begin(&run->tiles, tile), m = clvi_panel_begin(&run->tiles, tile + 1) - first;
    const clvi_pixel_tile end = {.bias = conv->bias ? conv->bias + column : NULL,
                                 .add = step->add.data ? step->add.data + first * step->add.ld + column : NULL,
                                 .add_ld = step->add.ld,
                                 .lo = conv->lo,
                                 .hi = conv->hi,
                                 .next = fetch->next,
                                 .next_step = fetch->next_step};
    gemm->run(merged ? run->taps / kw : run->taps, merged ? run->depth * kw : run->depth, rows,
              conv->weights + panel * run->panel_floats, step->y.data + first * step->y.ld + column, step->y.ld, m,
              clvi_min_size(gemm->nr, o - column), &end);
    clvi_pixel_activate(step->kernels, &conv->act, step->y.data + first * step->y.ld + column, m, column,
                        clvi_min_size(gemm->nr, o - column), step->y.ld);
}

/* Pixels [first, first + m) times the scale of their image into `to`, rows[i] to the i-th: a window of one tap. */
static void scale_pixels(const conv_run *run, size_t first, size_t m, float *to, const float **rows)
{
    const clvi_pixel_step *step = run->step;
    const clvi_pixels *x = &step->x;
    const size_t image = x->h * x->w;
    clvi_dwrow row = clvi_pixel_row(&step->conv.shape, x->ld, run->depth, -INFINITY, INFINITY);
    for (size_t n, i = 0; i < m; i += n) {
        const float *const from = x->data + (first + i) * x->ld;
        n = clvi_min_size(m - i, image - (first + i) % image);
        row.w = n;
        step->kernels->dwrow_f32(&row, &from, step->scale.data + (first + i) / image * step->scale.ld, NULL,
                                 to + i * run->depth, 0, n);
    }
    for (size_t i = 0; i < m; i++)
        rows[i] = to + i * run->depth;
}

/* Tiles [tile0, tile1) times panels [panel0, panel1). */
static void conv_block(const conv_run *run, size_t tile0, size_t tile1, size_t panel0, size_t panel1, size_t worker,
                       const clvi_pixel_source *source, const float **rows)
{
    const size_t mr = run->step->kernels->pixel_gemm_f32.mr, lines = run->taps * run->depth;
    bool merged[BLOCK_TILES];
    float *const scaled = (float *)(void *)((char *)rows + run->rows_bytes);
    place at = place_of(run, clvi_panel_begin(&run->tiles, tile0));
    for (size_t t = 0; t < tile1 - tile0; t++) {
        const size_t first = clvi_panel_begin(&run->tiles, tile0 + t);
        const size_t m = clvi_panel_begin(&run->tiles, tile0 + t + 1) - first;
        if (run->scaled_bytes)
            scale_pixels(run, first, m, scaled + t * mr * run->depth, rows + t * run->tile_rows);
        merged[t] = run->scaled_bytes ? false : point(run, at, first, m, rows + t * run->tile_rows);
        at = move_on(run, at, m);
    }
    const size_t tiles = tile1 - tile0;
    const size_t threads = run->by_tiles ? 1 : (size_t)clvi_pool_threads(run->step->pool);
    const size_t first = part_begin(run->panels, threads, worker); /* of those whose weights it looks after */
    const size_t mine = clvi_max_size(1, part_begin(run->panels, threads, worker + 1) - first);
    const clvi_pixel_ahead ahead = clvi_pixel_ahead_of(source, tile0, tiles, mine * tiles, lines);
    for (size_t panel = panel0; panel < panel1; panel++) {
        for (size_t t = 0; t < tiles; t++) {
            clvi_pixel_tile fetch = {.next = NULL};
            if (panel >= first && panel < first + mine)
                clvi_pixel_fetch(&ahead, (panel - first) * tiles + t, &fetch);
            conv_tile(run, tile0 + t, panel, merged[t], rows + t * run->tile_rows, &fetch);
        }
    }
}

static void conv_task(void *arg, size_t index, int worker)
{
    const conv_run *run = arg;
    const size_t panel_block = run->by_tiles ? index % run->panel_blocks : index / run->tile_blocks;
    const size_t tile_block = run->by_tiles ? index / run->panel_blocks : index % run->tile_blocks;
    const size_t panel0 = part_begin(run->panels, run->panel_blocks, panel_block);
    const size_t panel1 = part_begin(run->panels, run->panel_blocks, panel_block + 1);
    const size_t end = part_begin(run->tiles.count, run->tile_blocks, tile_block + 1);
    const clvi_pixel_source source = clvi_pixel_source_of(run->step, (size_t)worker, run->tiles.count);
    const float **rows =
        (const float **)(void *)((char *)run->step->work + (size_t)worker * (run->rows_bytes + run->scaled_bytes));
    for (size_t tile = part_begin(run->tiles.count, run->tile_blocks, tile_block); tile < end; tile += run->block)
        conv_block(run, tile, clvi_min_size(tile + run->block, end), panel0, panel1, (size_t)worker, &source, rows);
}

static size_t conv_work(const clvi_pixel_step *step)
{
    const conv_run run = plan_run(step);
    return (run.rows_bytes + run.scaled_bytes) * (size_t)clvi_pool_threads(step->pool);
}

static void conv_run_step(const clvi_pixel_step *step)
{
    conv_run run = plan_run(step);
    clvi_pool_run(step->pool, run.panel_blocks * run.tile_blocks, conv_task, &run);
}

void clvi_pixel_conv_run(const clvi_pixel_step *step, const clvi_pixel_conv *conv, size_t first, size_t count, float *y)
{
    const float *rows[CLVI_PIXEL_TAPS * MAX_MR];
    const clvi_pixel_step alone = {
        .kind = &clvi_pixel_convolution, .kernels = step->kernels, .x = step->x, .conv = *conv};
    const conv_run run = plan_run(&alone);
    const clvi_pixel_gemm_f32 *gemm = &step->kernels->pixel_gemm_f32;
    const size_t o = (size_t)conv->shape.o, kw = (size_t)conv->shape.kw;
    const clvi_panels tiles = clvi_panels_of(count, gemm->mr);
    place here = place_of(&run, first);
    for (size_t t = 0, m; t < tiles.count; t++, here = move_on(&run, here, m)) {
        const size_t at = clvi_panel_begin(&tiles, t);
        m = clvi_panel_begin(&tiles, t + 1) - at;
        const bool merged = point(&run, here, first + at, m, rows);
        for (size_t column = 0; column < o; column += gemm->nr) {
            const clvi_pixel_tile end = {
                .bias = conv->bias ? conv->bias + column : NULL, .lo = conv->lo, .hi = conv->hi};
            const size_t n = clvi_min_size(gemm->nr, o - column);
            float *const to = y + at * o + column;
            gemm->run(merged ? run.taps / kw : run.taps, merged ? run.depth * kw : run.depth, rows,
                      conv->weights + column / gemm->nr * run.panel_floats, to, o, m, n, &end);
            clvi_pixel_activate(step->kernels, &conv->act, to, m, column, n, o);
        }
    }
}

const clvi_pixel_kind clvi_pixel_convolution = {"convolution, channels last", conv_work, conv_run_step};

void clvi_pixel_activate(const clvi_kernels *kernels, const clvi_act_f32 *act, float *y, size_t pixels, size_t first,
                         size_t n, size_t ld)
{
    clvi_act_f32 part = *act;
    if (act->kind == CLVI_ACT_NONE)
        return;
    part.slope = act->slope ? act->slope + first : NULL;
    if (n == ld && !part.slope)
        kernels->act_f32(&part, y, 1, n * pixels, n * pixels);
    else
        kernels->act_f32(&part, y, pixels, n, ld);
}

void clvi_pixel_product_run(const clvi_pixel_product *p, size_t pixels)
{
    const float *rows[MAX_MR];
    const clvi_pixel_gemm_f32 *gemm = &p->kernels->pixel_gemm_f32;
    const size_t nr = gemm->nr;
    const clvi_panels tiles = clvi_panels_of(pixels, gemm->mr);
    clvi_pixel_ahead ahead = {.step = 0};
    if (p->source)
        ahead = clvi_pixel_ahead_of(p->source, p->first, p->count, (p->n + nr - 1) / nr * tiles.count, p->k);
    for (size_t column = 0, part = 0; column < p->n; column += nr) {
        for (size_t t = 0; t < tiles.count; t++, part++) {
            const size_t first = clvi_panel_begin(&tiles, t), m = clvi_panel_begin(&tiles, t + 1) - first;
            for (size_t i = 0; i < m; i++)
                rows[i] = p->x + (first + i) * p->x_ld;
            clvi_pixel_tile tile = {.bias = p->bias ? p->bias + column : NULL,
                                    .add = p->add ? p->add + first * p->add_ld + column : NULL,
                                    .add_ld = p->add_ld,
                                    .lo = p->lo,
                                    .hi = p->hi};
            clvi_pixel_fetch(&ahead, part, &tile);
            float *const y = p->y + first * p->y_ld + column;
            const size_t n = clvi_min_size(nr, p->n - column);
            gemm->run(1, p->k, rows, p->weights + column * p->k, y, p->y_ld, m, n, &tile);
            clvi_pixel_activate(p->kernels, p->act, y, m, column, n, p->y_ld);
        }
    }
}

void clvi_pixel_finish(const clvi_pixel_step *step, const clvi_pixel_source *source, size_t pixel, size_t count,
                       const float *x, size_t x_ld)
{
    const clvi_pixel_conv *conv = &step->conv;
    const clvi_pixel_product product = {.kernels = step->kernels,
                                        .x = x,
                                        .weights = conv->weights,
                                        .bias = conv->bias,
                                        .add = step->add.data ? step->add.data + pixel * step->add.ld : NULL,
                                        .y = step->y.data + pixel * step->y.ld,
                                        .k = (size_t)conv->shape.c,
                                        .n = step->y.c,
                                        .x_ld = x_ld,
                                        .y_ld = step->y.ld,
                                        .add_ld = step->add.ld,
                                        .lo = conv->lo,
                                        .hi = conv->hi,
                                        .act = &conv->act,
                                        .source = source,
                                        .first = pixel,
                                        .count = count};
    clvi_pixel_product_run(&product, count);
}
