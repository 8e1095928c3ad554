/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd steps against the convolution in double: the stated bound for every output, the usual error for the largest,
 * the same bits for any number of threads, all epilogues, no memory while running. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/winograd.h"
#include "ops/pixels.h"

typedef struct winograd_case {
    size_t n, c, h, w, o, pad, gap; /* gap: floats behind the channels of a pixel */
    bool bias, add, clamp, into;    /* into: what is added is the output's memory */
    clvi_act_kind act;
} winograd_case;

static const winograd_case cases[] = {
    {1, 16, 8, 8, 16, 1, 0, true, false, true, false, CLVI_ACT_NONE},
    {1, 64, 14, 14, 64, 1, 0, true, true, true, true, CLVI_ACT_NONE},
    {2, 20, 13, 9, 37, 1, 5, true, true, false, false, CLVI_ACT_NONE},    /* channel tails, sizes not multiples of 4 */
    {3, 33, 7, 7, 50, 0, 0, false, false, false, false, CLVI_ACT_NONE},   /* no padding, several images in a group */
    {1, 1, 3, 3, 1, 0, 0, true, false, false, false, CLVI_ACT_NONE},      /* one output */
    {1, 3, 1, 1, 5, 1, 0, false, true, false, false, CLVI_ACT_NONE},      /* smaller than the window */
    {2, 17, 30, 31, 40, 1, 3, true, false, false, false, CLVI_ACT_SILU},  /* many groups */
    {1, 24, 11, 6, 70, 1, 0, true, true, false, true, CLVI_ACT_PRELU},    /* three panels */
    {1, 200, 18, 17, 130, 1, 0, true, false, true, false, CLVI_ACT_NONE}, /* weights larger than L2 */
    {1, 300, 29, 29, 200, 1, 0, true, true, false, false, CLVI_ACT_NONE}, /* V and M larger than L2 */
};

typedef struct network {
    clvi_pixel_step step;
    clvi_kernels kernels;
    clvi_arena *arena; /* packed weights */
    float *x, *y, *add, *w, *bias, *slope;
    double *want; /* planes [n, o, oh, ow], before the epilogue */
} network;

static float *random_floats(clvi_rng *rng, size_t n, double scale)
{
    float *const data = clvi_alloc_array(n, sizeof *data);
    for (size_t i = 0; i < n; i++)
        data[i] = (float)(clvi_rng_normal(rng) * scale);
    return data;
}

static void open_network(network *t, const winograd_case *k, size_t m, clvi_cpu level)
{
    const size_t oh = k->h + 2 * k->pad - 2, ow = k->w + 2 * k->pad - 2, ld = k->c + k->gap, y_ld = k->o + k->gap;
    clvi_rng rng;
    clvi_rng_seed(&rng, k->c + k->o);
    *t = (network){.kernels = clvi_kernels_for(level), .arena = clvi_arena_create()};
    assert_non_null(t->arena);
    t->x = random_floats(&rng, k->n * k->h * k->w * ld, 1);
    t->w = random_floats(&rng, k->o * k->c * 9, 1 / sqrt(9.0 * (double)k->c));
    t->bias = random_floats(&rng, k->o, 0.5);
    t->slope = random_floats(&rng, k->o, 0.5);
    t->add = random_floats(&rng, k->n * oh * ow * y_ld, 1);
    t->y = random_floats(&rng, k->n * oh * ow * y_ld, 1);
    const clvi_conv_shape s = {.rank = 4,
                               .n = (int64_t)k->n,
                               .c = (int64_t)k->c,
                               .h = (int64_t)k->h,
                               .w = (int64_t)k->w,
                               .o = (int64_t)k->o,
                               .oh = (int64_t)oh,
                               .ow = (int64_t)ow,
                               .groups = 1,
                               .kh = 3,
                               .kw = 3,
                               .sh = 1,
                               .sw = 1,
                               .dh = 1,
                               .dw = 1,
                               .pt = (int64_t)k->pad,
                               .pl = (int64_t)k->pad,
                               .pb = (int64_t)k->pad,
                               .pr = (int64_t)k->pad};
    clvi_pixel_step *const step = &t->step;
    *step = (clvi_pixel_step){.kind = &clvi_pixel_winograd, .kernels = &t->kernels};
    step->x = (clvi_pixels){t->x, k->n, k->h, k->w, k->c, ld};
    step->y = (clvi_pixels){t->y, k->n, oh, ow, k->o, y_ld};
    step->add = (clvi_pixels){k->add ? k->into ? t->y : t->add : NULL, k->n, oh, ow, k->o, y_ld};
    step->conv = (clvi_pixel_conv){.shape = s,
                                   .winograd = m,
                                   .lo = k->clamp ? -0.5F : -INFINITY,
                                   .hi = k->clamp ? 1.5F : INFINITY,
                                   .act = {k->act, 0, 0, k->act == CLVI_ACT_PRELU ? t->slope : NULL}};
    assert_int_equal(
        clvi_pixel_pack(&t->kernels, t->arena, &step->conv, 1, t->w, k->bias ? t->bias : NULL, "test", NULL), CLV_OK);
}

/* t->want: the same for any level and m. */
static void make_reference(network *t, const winograd_case *k)
{
    const clvi_pixels *x = &t->step.x, *y = &t->step.y;
    const ptrdiff_t pad = (ptrdiff_t)k->pad;
    const clvi_conv_ref ref = {k->n, k->c, k->h, k->w, k->o, y->h, y->w, 1, 3, 3, 1, 1, 1, 1, pad, pad};
    const size_t image = k->h * k->w;
    float *const planes = clvi_alloc_array(k->n * k->c * image, sizeof *planes);
    for (size_t i = 0; i < k->n * k->c * image; i++)
        planes[i] = t->x[(i / image / k->c * image + i % image) * x->ld + i / image % k->c];
    t->want = clvi_alloc_array(k->n * k->o * y->h * y->w, sizeof *t->want);
    clvk_conv_f32__ref(&ref, planes, t->w, k->bias ? t->bias : NULL, t->want, NULL);
    clvi_free(planes);
}

static void close_network(network *t)
{
    float *const all[] = {t->x, t->y, t->add, t->w, t->bias, t->slope};
    clvi_arena_free(t->arena);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        clvi_free(all[i]);
}

/* The step with so many threads, into a y that begins as `before`. */
static void run(network *t, const float *before, size_t floats, int threads)
{
    clvi_pool *pool = NULL;
    assert_int_equal(clvi_pool_create(&pool, threads, NULL), CLV_OK);
    t->step.pool = pool;
    t->step.work = clvi_alloc(t->step.kind->work(&t->step));
    memcpy(t->y, before, floats * sizeof *before);
    const long calls = clvi_mem_calls();
    t->step.kind->run(&t->step);
    assert_int_equal(clvi_mem_calls(), calls);
    clvi_free(t->step.work);
    clvi_pool_free(pool);
}

static double epilogue(const winograd_case *k, const network *t, double v, double add, size_t o)
{
    const double sum = fmin(fmax(v + add, k->clamp ? -0.5 : -HUGE_VAL), k->clamp ? 1.5 : HUGE_VAL);
    return k->act == CLVI_ACT_SILU    ? sum / (1 + exp(-sum))
           : k->act == CLVI_ACT_PRELU ? sum * (sum < 0 ? (double)t->slope[o] : 1.0)
                                      : sum;
}

/* The largest absolute value, or their sum. */
static double size_of(const float *data, size_t n, bool largest)
{
    double size = 0;
    for (size_t i = 0; i < n; i++) {
        const double v = fabs((double)data[i]);
        if (largest && v > size)
            size = v;
        else if (!largest)
            size += v;
    }
    return size;
}

static void judge(const winograd_case *k, const network *t, size_t m, const float *before)
{
    const clvi_winograd *const matrices = clvi_winograd_of(m);
    const clvi_pixels *y = &t->step.y;
    const double u = 0x1p-24, roundings = (double)(k->c + CLVI_WINOGRAD_ROUNDINGS),
                 g = roundings * u / (1 - roundings * u);
    const float *const add = k->into ? before : t->add;
    const double most = size_of(t->x, k->n * k->h * k->w * t->step.x.ld, true);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < k->n * y->h * y->w; i++) {
        const size_t image = i / (y->h * y->w), pixel = i % (y->h * y->w);
        for (size_t o = 0; o < y->ld; o++) {
            const float got = t->y[i * y->ld + o];
            if (o >= k->o) {
                assert_true(memcmp(&got, &before[i * y->ld + o], sizeof got) == 0);
                continue;
            }
            const double plus = k->add ? (double)add[i * y->ld + o] : 0;
            const double want = epilogue(k, t, t->want[(image * k->o + o) * y->h * y->w + pixel], plus, o);
            const double bound = g * (matrices->amplification * matrices->amplification * most *
                                          size_of(t->w + o * k->c * 9, k->c * 9, false) +
                                      fabs(plus) + 1);
            const double off = fabs((double)got - want);
            if (!(off <= 1.2 * bound)) /* an activation's slope is below 1.2 */
                fail_msg("F(%zu,3), c %zu o %zu: pixel %zu, filter %zu is %.9g, must be %.9g, bound %g", m, k->c, k->o,
                         i, o, (double)got, want, bound);
            largest = fmax(largest, fabs(want));
            worst = fmax(worst, off);
        }
    }
    if (!(worst <= CLVI_WINOGRAD_USUAL * fmax(largest, 1)))
        fail_msg("F(%zu,3), c %zu o %zu: differs by %g of %g", m, k->c, k->o, worst, largest);
}

/* One case at one level with m: the formula, and the same bits whatever the number of threads. */
static void check_case(const winograd_case *k, size_t m, clvi_cpu level, double **want)
{
    network t;
    open_network(&t, k, m, level);
    if (!*want) {
        make_reference(&t, k);
        *want = t.want;
    }
    t.want = *want;
    const size_t floats = t.step.y.n * t.step.y.h * t.step.y.w * t.step.y.ld;
    float *const before = clvi_alloc_array(floats, sizeof *before), *const first =
                                                                        clvi_alloc_array(floats, sizeof *first);
    memcpy(before, t.y, floats * sizeof *before);
    run(&t, before, floats, 1);
    judge(k, &t, m, before);
    memcpy(first, t.y, floats * sizeof *first);
    for (int threads = 2; threads <= 4; threads++) {
        run(&t, before, floats, threads);
        assert_memory_equal(first, t.y, floats * sizeof *first);
    }
    clvi_free(before);
    clvi_free(first);
    close_network(&t);
}

static void winograd_matches_the_formula(void **state)
{
    static const char *const names[] = {"ref", "avx2", "avx512", "neon"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double *want = NULL;
        for (size_t named = 0; named < sizeof names / sizeof *names; named++) {
            clvi_cpu level;
            if (!clvi_cpu_parse(names[named], &level) || (level == CLVI_CPU_REF && cases[i].c > 100))
                continue;
            for (size_t m = 2; m <= 4; m += 2)
                check_case(&cases[i], m, level, &want);
        }
        clvi_free(want);
    }
}

/* A G g G^T . B^T d B A is the correlation, for every unit d and g: along one axis, since the other is the same. */
static void matrices_are_exact(void **state)
{
    (void)state;
    for (size_t m = 2; m <= 4; m += 2) {
        const clvi_winograd *const w = clvi_winograd_of(m);
        double amplification = 0;
        for (size_t r = 0; r < m; r++) {
            for (size_t k = 0; k < 3; k++) {
                double size = 0;
                for (size_t l = 0; l < w->n; l++) {
                    double sum = 0;
                    for (size_t p = 0; p < w->n; p++) {
                        sum += w->at[r][p] * w->g[p][k] * w->bt[p][l];
                        size += fabs(w->at[r][p] * w->g[p][k] * w->bt[p][l]);
                    }
                    assert_true(fabs(sum - (l == r + k ? 1.0 : 0.0)) < 1e-15);
                }
                amplification = fmax(amplification, size);
            }
        }
        assert_true(amplification <= w->amplification && amplification > 0.99 * w->amplification);
    }
}

static clvi_conv_shape shape(int64_t c, int64_t o, int64_t size)
{
    return (clvi_conv_shape){.rank = 4,
                             .n = 1,
                             .c = c,
                             .h = size,
                             .w = size,
                             .o = o,
                             .oh = size,
                             .ow = size,
                             .groups = 1,
                             .kh = 3,
                             .kw = 3,
                             .sh = 1,
                             .sw = 1,
                             .dh = 1,
                             .dw = 1,
                             .pt = 1,
                             .pl = 1,
                             .pb = 1,
                             .pr = 1};
}

static void only_what_fits_is_taken(void **state)
{
    (void)state;
    clvi_conv_shape s = shape(64, 64, 56);
    assert_int_equal(clvi_pixel_winograd_pays(&s, false), 4);
    s.n = 7; /* any batch: the same bits for an image alone and among others */
    assert_int_equal(clvi_pixel_winograd_pays(&s, false), 4);
    for (int i = 0; i < 5; i++) {
        s = shape(64, 64, 56);
        *(int64_t *[]){&s.sh, &s.dw, &s.groups, &s.kh, &s.kw}[i] = 2;
        assert_int_equal(clvi_pixel_winograd_pays(&s, true), 0);
    }
    s = shape(3, 64, 224); /* too few channels to earn the transforms */
    assert_int_equal(clvi_pixel_winograd_pays(&s, false), 0);
    assert_true(clvi_pixel_winograd_pays(&s, true) > 0);
}

static void short_memory_is_told(void **state)
{
    const clvi_kernels kernels = clvi_kernels_for(CLVI_CPU_REF);
    static const float w[512 * 9];
    clvi_pixel_step step = {.conv = {.shape = shape(512, 1, 8), .winograd = 4}};
    clv_error err = {.msg = ""};
    clvi_arena *const arena = clvi_arena_create();
    (void)state;
    clvi_mem_fail_after(0);
    const clv_status st = clvi_pixel_pack(&kernels, arena, &step.conv, 1, w, NULL, "conv3", &err);
    clvi_mem_fail_after(-1);
    assert_int_equal(st, CLV_ERR_NOMEM);
    assert_non_null(strstr(err.msg, "conv3"));
    clvi_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winograd_matches_the_formula),
        cmocka_unit_test(matrices_are_exact),
        cmocka_unit_test(only_what_fits_is_taken),
        cmocka_unit_test(short_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
