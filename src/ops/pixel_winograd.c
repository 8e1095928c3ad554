/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 convolution of stride 1 by Winograd's F(m x m, 3 x 3), channels last (kernels/winograd.h: matrices, error bound).
 *
 * The output is cut into tiles of m x m pixels, the tiles of all images into groups. The input of a group is
 * transformed, V[tile][position][c]; then for each panel of nr filters each of the (m + 2)^2 positions is a product of
 * the group's tiles with packed transformed weights, U[panel][position][c][nr], into M[tile][position][nr], which is
 * transformed back at once, with all that follows the convolution. V and M of a group stay in L2; U passes through it
 * once a group. Tiles in V and M stand an odd number of cache lines apart, so that those of a micro-kernel do not meet
 * in the same sets of L1.
 *
 * Where U is so large that passing it through L2 again and again takes longer than letting V and M leave it, there are
 * few groups and all panels take a position before the next one is begun.
 *
 * Threads take groups, each with its own V and M. Where U is large and groups are few they share V and take panels, so
 * that each reads its part of U. An output's sum does not depend on its group: same bits for any number of threads. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "kernels/winograd.h"
#include "ops/conv_product.h"
#include "ops/pixels.h"

#define MAX_MR      16
#define MAX_TAPS    (CLVI_WINOGRAD_MOST * CLVI_WINOGRAD_MOST)
#define LINE        16            /* floats of a cache line */
#define KEEP_BYTES  (1u << 20)    /* of U, up to which it stays in L2 from group to group */
#define GROUP_BYTES (448u << 10)  /* of V and M of a group where U stays */
#define ALONE_BYTES (1280u << 10) /* of V and M of a group where U passes through */
#define WHOLE_BYTES (32u << 20)   /* of V and M that may leave L2 */
#define TASKS       4             /* a thread, for others to take when it is late */

typedef struct winograd_run {
    const clvi_pixel_step *step;
    const float *zeros;          /* [c] */
    size_t m, positions, c, o;   /* positions: (m + 2)^2 */
    size_t down, across, tiles;  /* tiles of an image's rows and columns; of all images */
    clvi_panels units;           /* micro-kernel rows of tiles */
    size_t groups;               /* of those */
    size_t panels, panel_floats; /* of U */
    size_t blocks;               /* of panels */
    size_t v_ld, m_ld;           /* floats from position to position of a tile */
    size_t v_tile, m_tile;       /* floats from tile to tile */
    size_t v_floats, m_floats;   /* of a group's V, of a group's and block's M */
    bool shared;                 /* one V for all threads, who take blocks of panels */
    size_t group;                /* of a shared V: the one at work */
} winograd_run;

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t part_begin(size_t n, size_t parts, size_t i)
{
    return n * i / parts;
}

/* First tile of a group. */
static size_t group_begin(const winograd_run *run, size_t group)
{
    return clvi_panel_begin(&run->units, part_begin(run->units.count, run->groups, group));
}

/* Groups, and blocks of panels. Either V and M of a group stay in L2, then a block is a panel; or they do not, then all
 * panels take a position before the next one is begun, so that at least its rows of V do. What passes through L2
 * decides: U once a group, V and M twice if they leave it. */
static void split_run(winograd_run *run, size_t threads)
{
    const size_t nr = run->step->kernels->pixel_gemm_f32.nr, mr = run->step->kernels->pixel_gemm_f32.mr;
    const size_t row = run->positions * sizeof(float), u = run->panels * run->panel_floats * sizeof(float);
    const size_t all = run->units.count * mr * row * (run->v_ld + run->panels * nr);
    const size_t unit = mr * row * (run->v_ld + nr), room = u > KEEP_BYTES ? ALONE_BYTES : GROUP_BYTES;
    run->groups = ceil_div(run->units.count, clvi_max_size(1, room / unit));
    run->blocks = run->panels;
    const size_t whole = ceil_div(all, WHOLE_BYTES);
    if (u > KEEP_BYTES && (double)u * (double)whole + 2.0 * (double)all < (double)u * (double)run->groups) {
        run->groups = whole;
        run->blocks = threads > 1 ? clvi_min_size(run->panels, 2 * threads) : 1;
        run->shared = threads > 1;
    } else if (threads > 1 && u > KEEP_BYTES && run->groups < 2 * threads && run->panels > 1) {
        run->shared = true;
    } else if (threads > 1) {
        run->groups = clvi_max_size(run->groups, clvi_min_size(run->units.count, TASKS * threads));
    }
}

static winograd_run plan_run(const clvi_pixel_step *step)
{
    const clvi_conv_shape *s = &step->conv.shape;
    const clvi_pixel_gemm_f32 *gemm = &step->kernels->pixel_gemm_f32;
    const size_t m = step->conv.winograd;
    winograd_run run = {.step = step, .m = m, .positions = (m + 2) * (m + 2), .c = (size_t)s->c, .o = (size_t)s->o};
    run.down = ceil_div((size_t)s->oh, m);
    run.across = ceil_div((size_t)s->ow, m);
    run.tiles = (size_t)s->n * run.down * run.across;
    run.units = clvi_panels_of(run.tiles, gemm->mr);
    run.panels = ceil_div(run.o, gemm->nr);
    run.panel_floats = run.positions * run.c * gemm->nr;
    run.zeros = step->conv.weights ? step->conv.weights + run.panels * run.panel_floats : NULL;
    run.v_ld = clvi_round_up(run.c, LINE);
    run.v_tile = run.positions * run.v_ld + LINE;
    split_run(&run, (size_t)clvi_pool_threads(step->pool));
    const size_t most = ceil_div(run.units.count, run.groups) * gemm->mr;
    run.m_ld = clvi_min_size(ceil_div(run.panels, run.blocks) * gemm->nr, clvi_round_up(run.o, LINE));
    run.m_tile = run.positions * run.m_ld + LINE;
    run.v_floats = most * run.v_tile;
    run.m_floats = most * run.m_tile;
    return run;
}

/* Where a tile is: its image, its first output row and column. */
typedef struct tile_place {
    size_t image, r, q;
} tile_place;

static tile_place place_of(const winograd_run *run, size_t tile)
{
    const size_t of_image = run->down * run->across;
    return (tile_place){tile / of_image, tile % of_image / run->across * run->m, tile % run->across * run->m};
}

/* V of one tile. */
static void transform_tile(const winograd_run *run, size_t tile, float *v)
{
    const clvi_pixels *x = &run->step->x;
    const clvi_conv_shape *s = &run->step->conv.shape;
    const size_t n = run->m + 2;
    const tile_place at = place_of(run, tile);
    const float *rows[MAX_TAPS], **to = rows, *const image = x->data + at.image * x->h * x->w * x->ld;
    const ptrdiff_t top = (ptrdiff_t)at.r - s->pt, left = (ptrdiff_t)at.q - s->pl;
    for (size_t i = 0; i < n; i++) {
        const ptrdiff_t row = top + (ptrdiff_t)i;
        for (size_t j = 0; j < n; j++) {
            const ptrdiff_t column = left + (ptrdiff_t)j;
            const bool inside = row >= 0 && row < s->h && column >= 0 && column < s->w;
            *to++ = inside ? image + (size_t)(row * s->w + column) * x->ld : run->zeros;
        }
    }
    run->step->kernels->winograd_f32.in(run->m, rows, v, run->v_ld, run->c);
}

/* Outputs of one tile, filters [column, column + n), from its M. */
static void finish_tile(const winograd_run *run, size_t tile, size_t column, size_t n, const float *products)
{
    const clvi_pixel_step *step = run->step;
    const clvi_pixel_conv *conv = &step->conv;
    const clvi_pixels *y = &step->y;
    const tile_place at = place_of(run, tile);
    const size_t pixel = (at.image * y->h + at.r) * y->w + at.q;
    const clvi_winograd_tile t = {.m = run->m,
                                  .rows = clvi_min_size(run->m, y->h - at.r),
                                  .columns = clvi_min_size(run->m, y->w - at.q),
                                  .products_ld = run->m_ld,
                                  .y_row = y->w * y->ld,
                                  .y_ld = y->ld,
                                  .add_row = y->w * step->add.ld,
                                  .add_ld = step->add.ld,
                                  .bias = conv->bias ? conv->bias + column : NULL,
                                  .add = step->add.data ? step->add.data + pixel * step->add.ld + column : NULL,
                                  .lo = conv->lo,
                                  .hi = conv->hi};
    float *const to = y->data + pixel * y->ld + column;
    step->kernels->winograd_f32.out(&t, products, to, n);
    for (size_t r = 0; r < t.rows && conv->act.kind != CLVI_ACT_NONE; r++)
        clvi_pixel_activate(step->kernels, &conv->act, to + r * t.y_row, t.columns, column, n, y->ld);
}

/* One position of one panel: `count` rows of V into M. next: what is read after its weights. */
static void position_tiles(const winograd_run *run, size_t panel, size_t p, size_t count, const float *v,
                           float *products, const float *next)
{
    const clvi_pixel_gemm_f32 *gemm = &run->step->kernels->pixel_gemm_f32;
    const clvi_panels units = clvi_panels_of(count, gemm->mr);
    const size_t weights = run->c * gemm->nr;
    const size_t n = clvi_min_size(gemm->nr, run->o - panel * gemm->nr);
    const float *const u = run->step->conv.weights + panel * run->panel_floats + p * weights;
    for (size_t unit = 0; unit < units.count; unit++) {
        const size_t first = clvi_panel_begin(&units, unit), m = clvi_panel_begin(&units, unit + 1) - first;
        const clvi_pixel_tile plain = {
            .lo = -INFINITY, .hi = INFINITY, .next = (const char *)next, .next_step = LINE * sizeof(float)};
        const float *rows[MAX_MR];
        for (size_t i = 0; i < m; i++)
            rows[i] = v + (first + i) * run->v_tile + p * run->v_ld;
        gemm->run(1, run->c, rows, u, products + first * run->m_tile + p * run->m_ld, run->m_tile, m, n, &plain);
        next = next && (unit + 1) * run->c * LINE < weights ? next + run->c * LINE : NULL;
    }
}

/* A block of panels on tiles [first, end); v, products: of these tiles. */
static void block_tiles(const winograd_run *run, size_t block, size_t first, size_t end, const float *v,
                        float *products)
{
    const size_t nr = run->step->kernels->pixel_gemm_f32.nr, weights = run->c * nr;
    const size_t panel0 = part_begin(run->panels, run->blocks, block);
    const size_t panel1 = part_begin(run->panels, run->blocks, block + 1);
    for (size_t p = 0; p < run->positions; p++) {
        for (size_t panel = panel0; panel < panel1; panel++) {
            const size_t then = panel + 1 < panel1       ? (panel + 1) * run->panel_floats + p * weights
                                : p + 1 < run->positions ? panel0 * run->panel_floats + (p + 1) * weights
                                                         : panel1 * run->panel_floats;
            position_tiles(run, panel, p, end - first, v, products + (panel - panel0) * nr,
                           run->step->conv.weights + then);
        }
    }
    for (size_t panel = panel0; panel < panel1; panel++)
        for (size_t tile = first; tile < end; tile++)
            finish_tile(run, tile, panel * nr, clvi_min_size(nr, run->o - panel * nr),
                        products + (tile - first) * run->m_tile + (panel - panel0) * nr);
}

static float *worker_floats(const winograd_run *run, size_t index)
{
    return (float *)run->step->work +
           (run->shared ? run->v_floats + index * run->m_floats : index * (run->v_floats + run->m_floats));
}

/* A group by itself. */
static void group_task(void *arg, size_t index, int worker)
{
    const winograd_run *run = arg;
    const size_t first = group_begin(run, index), end = group_begin(run, index + 1);
    float *const v = worker_floats(run, (size_t)worker), *const products = v + run->v_floats;
    for (size_t tile = first; tile < end; tile++)
        transform_tile(run, tile, v + (tile - first) * run->v_tile);
    for (size_t block = 0; block < run->blocks; block++)
        block_tiles(run, block, first, end, v, products);
}

/* A tile of the group at work into the shared V; a block of panels of it. */
static void shared_transform(void *arg, size_t index, int worker)
{
    const winograd_run *run = arg;
    (void)worker;
    transform_tile(run, group_begin(run, run->group) + index, (float *)run->step->work + index * run->v_tile);
}

static void shared_block(void *arg, size_t index, int worker)
{
    const winograd_run *run = arg;
    block_tiles(run, index, group_begin(run, run->group), group_begin(run, run->group + 1), run->step->work,
                worker_floats(run, (size_t)worker));
}

static size_t winograd_work(const clvi_pixel_step *step)
{
    const winograd_run run = plan_run(step);
    const size_t threads = (size_t)clvi_pool_threads(step->pool);
    return (run.shared ? run.v_floats + threads * run.m_floats : threads * (run.v_floats + run.m_floats)) *
           sizeof(float);
}

static void run_winograd(const clvi_pixel_step *step)
{
    winograd_run run = plan_run(step);
    if (!run.shared) {
        clvi_pool_run(step->pool, run.groups, group_task, &run);
        return;
    }
    for (run.group = 0; run.group < run.groups; run.group++) {
        clvi_pool_run(step->pool, group_begin(&run, run.group + 1) - group_begin(&run, run.group), shared_transform,
                      &run);
        clvi_pool_run(step->pool, run.blocks, shared_block, &run);
    }
}

const clvi_pixel_kind clvi_pixel_winograd = {"Winograd, channels last", winograd_work, run_winograd};

/* --- when a plan is made ----------------------------------------------------------------------------------------- */

/* G g G^T of one 3x3 filter: position p at u[p * step]. */
static void transform_filter(const clvi_winograd *w, const float *g, float *u, size_t step)
{
    double half[CLVI_WINOGRAD_MOST][3];
    for (size_t p = 0; p < w->n; p++)
        for (size_t j = 0; j < 3; j++)
            half[p][j] = w->g[p][0] * (double)g[j] + w->g[p][1] * (double)g[3 + j] + w->g[p][2] * (double)g[6 + j];
    for (size_t p = 0; p < w->n; p++)
        for (size_t q = 0; q < w->n; q++)
            u[(p * w->n + q) * step] =
                (float)(half[p][0] * w->g[q][0] + half[p][1] * w->g[q][1] + half[p][2] * w->g[q][2]);
}

/* [o, c, 3, 3] -> [panel][position][c][nr], then c zeros for pixels outside the image. */
float *clvi_pixel_pack_winograd(clvi_arena *arena, const clvi_conv_shape *s, size_t nr, size_t m, const float *w)
{
    static const float none[9] = {0};
    const clvi_winograd *const matrices = clvi_winograd_of(m);
    const size_t o = (size_t)s->o, c = (size_t)s->c, positions = matrices->n * matrices->n;
    size_t floats, bytes;
    if (!clvi_mul(clvi_round_up(o, nr), positions, &floats) || !clvi_mul(floats, c, &floats) ||
        !clvi_add(floats, c, &floats) || !clvi_mul(floats, sizeof(float), &bytes))
        return NULL;
    float *const packed = clvi_arena_alloc(arena, bytes);
    if (!packed)
        return NULL;
    for (size_t column = 0; column < o; column += nr)
        for (size_t k = 0; k < c; k++)
            for (size_t j = column; j < column + nr; j++)
                transform_filter(matrices, j < o ? w + (j * c + k) * 9 : none,
                                 packed + column * positions * c + k * nr + j - column, c * nr);
    memset(packed + (floats - c), 0, c * sizeof *packed);
    return packed;
}

/* Times in multiply-adds at the peak, as measured (docs/perf.md). Neither the batch nor the number of threads counts,
 * so that an image has the same bits alone and among others. */
#define SHARE     0.8   /* of the peak that the micro-kernel reaches */
#define WEIGHT    30.0  /* a float of the weights comes through L2 */
#define IN_TIME   8.0   /* transform of an input, for each position */
#define OUT_TIME  6.0   /* of an output */
#define CALL_TIME 270.0 /* of a tile's part of a micro-kernel's begin and end */
#define PANEL     32

static double winograd_time(const clvi_conv_shape *s, int64_t m)
{
    const double tiles = (double)(((s->oh + m - 1) / m) * ((s->ow + m - 1) / m)), c = (double)s->c, o = (double)s->o;
    const double positions = (double)((m + 2) * (m + 2)), panels = (double)((s->o + PANEL - 1) / PANEL);
    return positions *
           (fmax(tiles * (c * o / SHARE + CALL_TIME * panels), c * o * WEIGHT) + tiles * (IN_TIME * c + OUT_TIME * o));
}

static double direct_time(const clvi_conv_shape *s)
{
    return 9.0 * (double)(s->c * s->o) * fmax((double)(s->oh * s->ow) / SHARE, WEIGHT);
}

size_t clvi_pixel_winograd_pays(const clvi_conv_shape *s, bool any)
{
    const bool fits = s->rank == 4 && s->groups == 1 && s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 &&
                      s->dh == 1 && s->dw == 1 && s->n > 0 && s->c > 0 && s->o > 0 && s->oh > 0 && s->ow > 0;
    if (!fits)
        return 0;
    const double four = winograd_time(s, 4), two = winograd_time(s, 2);
    const size_t best = four < two ? 4 : 2;
    return any || fmin(four, two) < direct_time(s) ? best : 0;
}
