/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution as a product, for each image and group:  Y[og, pixels] = W[og, k] B[k, pixels],  k = cg * kh * kw.
 *
 * B never exists whole. A task owns a block of pixels (and of output channels, when tasks are few): for each block of k
 * it packs that part of B into its worker's scratch, panel by panel, and multiplies it by every panel of W.
 *
 *   scratch of a worker: [panel][k block][nr], at most BLOCK_FLOATS, in L2
 *
 * A 1x1 convolution is the same with the image seen as one row of h * w pixels: packing is then a plain copy. */
#include <math.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_algo.h"
#include "ops/conv_product.h"

#define BLOCK_FLOATS (64 * 1024) /* 256 KB, a quarter of a 1 MB L2 */
#define TASKS        4           /* wanted for each thread */

typedef struct plan {
    size_t k, cg, og, groups, pixels;
    clvi_panels panels; /* of W in one group */
    size_t width;       /* pixels of a block, a multiple of nr */
    size_t across;      /* pixel blocks of an image */
    size_t down;        /* blocks of output channels */
    size_t scratch;     /* floats of a worker */
} plan;

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static plan make_plan(const clvi_conv_shape *s, const clvi_kernels *kernels, int threads)
{
    const size_t nr = kernels->gemm_f32.nr, wanted = threads > 1 ? TASKS * (size_t)threads : 1;
    plan p = {.groups = (size_t)s->groups, .pixels = (size_t)(s->oh * s->ow)};
    p.cg = (size_t)(s->c / s->groups);
    p.og = (size_t)(s->o / s->groups);
    p.k = p.cg * (size_t)(s->kh * s->kw);
    p.panels = clvi_panels_of(p.og, kernels->gemm_f32.mr);
    const size_t panel_floats = clvi_k_largest(p.k) * nr;
    const size_t most = clvi_max_size(BLOCK_FLOATS / panel_floats, 1) * nr;
    const size_t planes = clvi_max_size((size_t)s->n * p.groups, 1);
    p.across = ceil_div(p.pixels, most);
    if (planes * p.across < wanted)
        p.across = clvi_min_size(ceil_div(wanted, planes), ceil_div(p.pixels, nr));
    p.width = clvi_round_up(ceil_div(p.pixels, p.across), nr);
    p.across = ceil_div(p.pixels, p.width);
    p.down = planes * p.across < wanted ? clvi_min_size(p.panels.count, ceil_div(wanted, planes * p.across)) : 1;
    p.scratch = clvi_round_up(p.width / nr * panel_floats, CLV_ALIGN / sizeof(float));
    return p;
}

static size_t packed_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    const plan p = make_plan(s, kernels, 1);
    return p.groups * p.panels.count * p.k * kernels->gemm_f32.mr * sizeof(float);
}

static void pack(const clvi_conv_shape *s, const clvi_kernels *kernels, const float *w, float *packed)
{
    const plan p = make_plan(s, kernels, 1);
    for (size_t g = 0; g < p.groups; g++) {
        const clvi_matrix rows = {w + g * p.og * p.k, p.og, p.k, p.k, 1};
        clvi_pack_rows(&rows, 1.0f, kernels->gemm_f32.mr, packed + g * p.panels.count * p.k * kernels->gemm_f32.mr);
    }
}

static size_t work_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels, int threads)
{
    return make_plan(s, kernels, threads).scratch * sizeof(float) * (size_t)threads;
}

typedef struct gemm_run {
    const clvi_conv_job *job;
    plan plan;
    clvi_im2col window;
} gemm_run;

/* Where one task works. */
typedef struct tile {
    const float *x, *w; /* of the image and group; packed weights of the group */
    float *y;
    const float *bias; /* of the group, or NULL */
    size_t first, n;   /* pixels */
    size_t panel, end; /* of W */
} tile;

static void multiply(const gemm_run *run, const tile *t, size_t block, const float *b)
{
    const clvi_gemm_f32 *gemm = &run->job->kernels->gemm_f32;
    const plan *p = &run->plan;
    const size_t k0 = clvi_k_begin(p->k, block), k = clvi_k_begin(p->k, block + 1) - k0;
    for (size_t i = t->panel; i < t->end; i++) {
        const size_t row = clvi_panel_begin(&p->panels, i), m = clvi_panel_begin(&p->panels, i + 1) - row;
        const clvi_gemm_tile out = {.bias = t->bias && block == 0 ? t->bias + row : NULL,
                                    .accumulate = block > 0,
                                    .lo = -INFINITY,
                                    .hi = INFINITY};
        for (size_t j = 0; j < t->n; j += gemm->nr)
            gemm->run(k, t->w + (i * p->k + k0) * gemm->mr, b + j * k, t->y + row * p->pixels + t->first + j, p->pixels,
                      m, clvi_min_size(gemm->nr, t->n - j), &out);
    }
}

static void gemm_task(void *arg, size_t index, int worker)
{
    const gemm_run *run = arg;
    const clvi_conv_job *job = run->job;
    const plan *p = &run->plan;
    const size_t mr = job->kernels->gemm_f32.mr;
    const size_t down = index % p->down, across = index / p->down % p->across;
    const size_t plane = index / p->down / p->across, g = plane % p->groups; /* plane: image * groups + group */
    float *b = (float *)job->work + (size_t)worker * p->scratch;
    tile t = {.x = job->x + plane * p->cg * (size_t)(job->shape->h * job->shape->w),
              .w = job->weights + g * p->panels.count * p->k * mr,
              .y = job->y + plane * p->og * p->pixels,
              .bias = job->bias ? job->bias + g * p->og : NULL,
              .first = across * p->width,
              .panel = p->panels.count * down / p->down,
              .end = p->panels.count * (down + 1) / p->down};
    t.n = clvi_min_size(p->width, p->pixels - t.first);
    for (size_t block = 0; block < clvi_k_count(p->k); block++) {
        const size_t k0 = clvi_k_begin(p->k, block), k = clvi_k_begin(p->k, block + 1) - k0;
        job->kernels->im2col_f32(&run->window, t.x, k0, k, t.first, t.n, b);
        multiply(run, &t, block, b);
    }
}

static void run_windows(const clvi_conv_job *job, const clvi_im2col *window)
{
    gemm_run run = {
        .job = job, .plan = make_plan(job->shape, job->kernels, clvi_pool_threads(job->pool)), .window = *window};
    run.window.nr = job->kernels->gemm_f32.nr;
    clvi_pool_run(job->pool, (size_t)job->shape->n * run.plan.groups * run.plan.across * run.plan.down, gemm_task,
                  &run);
}

/* --- any window -------------------------------------------------------------------------------------------------- */

static bool fits_any(const clvi_conv_shape *s)
{
    (void)s;
    return true;
}

/* Products, and the packing of B: about `copy` products an element. */
static double cost_of(const clvi_conv_shape *s, const clvi_kernels *kernels, double copy)
{
    const plan p = make_plan(s, kernels, 1);
    const double columns = (double)clvi_round_up(p.pixels, kernels->gemm_f32.nr / 2);
    return (double)p.groups * columns * (double)p.k * ((double)p.og + copy);
}

static double cost_any(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    return cost_of(s, kernels, s->sw <= 2 ? 4.0 : 10.0);
}

static void run_any(const clvi_conv_job *job)
{
    const clvi_conv_shape *s = job->shape;
    const clvi_im2col window = {.h = (size_t)s->h,
                                .w = (size_t)s->w,
                                .ow = (size_t)s->ow,
                                .kh = (size_t)s->kh,
                                .kw = (size_t)s->kw,
                                .sh = (size_t)s->sh,
                                .sw = (size_t)s->sw,
                                .dh = (size_t)s->dh,
                                .dw = (size_t)s->dw,
                                .pt = (ptrdiff_t)s->pt,
                                .pl = (ptrdiff_t)s->pl};
    run_windows(job, &window);
}

const clvi_conv_algo clvi_conv_im2col = {"im2col", fits_any, cost_any, packed_bytes, pack, work_bytes, run_any};

/* --- 1x1 --------------------------------------------------------------------------------------------------------- */

static bool fits_pointwise(const clvi_conv_shape *s)
{
    return s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->pt + s->pl + s->pb + s->pr == 0;
}

static double cost_pointwise(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    return cost_of(s, kernels, 2.0);
}

static void run_pointwise(const clvi_conv_job *job)
{
    const size_t pixels = (size_t)(job->shape->h * job->shape->w);
    const clvi_im2col window = {
        .h = 1, .w = pixels, .ow = pixels, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    run_windows(job, &window);
}

const clvi_conv_algo clvi_conv_pointwise = {"pointwise", fits_pointwise, cost_pointwise, packed_bytes,
                                            pack,        work_bytes,     run_pointwise};
