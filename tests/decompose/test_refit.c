/* SPDX-License-Identifier: Apache-2.0 */
/* Refits against plain loops over the samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/refit.h"
#include "decompose/refit_last.h"
#include "decompose/refit_pass.h"
#include "fixture.h"

/* A layer with its samples as a reservoir: y about half of the time above zero, a shortcut in part of it. */
typedef struct bed {
    layer l;
    float *y, *shortcut;
    clvi_reservoir reservoir;
} bed;

static bed bed_create(shape p, uint64_t seed, bool shortcut)
{
    bed b = {.l = layer_create(p, seed)};
    const size_t o = (size_t)p.o, rows = b.l.samples;
    clvi_rng rng;
    clvi_rng_seed(&rng, seed + 100);
    b.y = clvi_alloc_array(rows * o, sizeof(float));
    b.shortcut = clvi_alloc_array(rows * o, sizeof(float));
    assert_non_null(b.y);
    assert_non_null(b.shortcut);
    for (size_t i = 0; i < o; i++) {
        double mean = 0;
        for (size_t s = 0; s < rows; s++)
            mean += (double)b.l.t[i / b.l.n][s * b.l.n + i % b.l.n] / (double)rows;
        for (size_t s = 0; s < rows; s++) {
            b.shortcut[s * o + i] = (float)clvi_rng_normal(&rng);
            b.y[s * o + i] = b.l.t[i / b.l.n][s * b.l.n + i % b.l.n] - (float)mean +
                             (shortcut ? b.shortcut[s * o + i] + 0.1F * (float)clvi_rng_normal(&rng) : 0);
        }
    }
    b.reservoir = (clvi_reservoir){rows, (const float *const *)b.l.x, b.y, shortcut ? b.shortcut : NULL};
    return b;
}

static void bed_free(bed *b)
{
    layer_free(&b->l);
    clvi_free(b->y);
    clvi_free(b->shortcut);
}

/* The relative loss of a chain, sample by sample. */
static double plain_loss(const bed *b, const clvi_chain *chain, const clvi_activation *a)
{
    const layer *l = &b->l;
    const size_t o = l->n * l->groups;
    double *what = make(o * l->q), loss = 0, energy = 0;
    const float *bias = chain->link[chain->n - 1].bias;
    assert_int_equal(clvi_chain_expand(chain, &l->conv, what, NULL), CLV_OK);
    for (size_t i = 0; i < o; i++) {
        const clvi_piece p = clvi_activation_piece(a, i);
        double mean = 0;
        for (size_t s = 0; s < l->samples; s++)
            mean += p.scale * clvi_piece_unit(&p, (double)b->y[s * o + i]) / (double)l->samples;
        for (size_t s = 0; s < l->samples; s++) {
            double z = (double)bias[i] + (b->reservoir.shortcut ? (double)b->shortcut[s * o + i] : 0);
            for (size_t j = 0; j < l->q; j++)
                z += what[i * l->q + j] * (double)l->x[i / l->n][s * l->q + j];
            const double d = p.scale * clvi_piece_unit(&p, (double)b->y[s * o + i]) - mean;
            loss += clvi_piece_loss(&p, (double)b->y[s * o + i], z);
            energy += d * d;
        }
    }
    clvi_free(what);
    return loss / energy;
}

/* The least-squares fit to y less the shortcut, what a layer has before it is refitted. */
static clvi_fit first_fit(const bed *b, const clvi_form *form, const clvi_fit_opts *opts, clvi_arena *arena)
{
    const layer *l = &b->l;
    const size_t o = l->n * l->groups;
    clvi_fit fit;
    float *t = clvi_alloc_array(l->samples * l->n, sizeof *t);
    clvi_covariance *cov = clvi_calloc(l->groups, sizeof *cov);
    for (size_t g = 0; g < l->groups; g++) {
        clvi_moments m;
        for (size_t s = 0; s < l->samples; s++)
            for (size_t i = 0; i < l->n; i++) {
                const size_t at = s * o + g * l->n + i;
                t[s * l->n + i] = b->y[at] - (b->reservoir.shortcut ? b->shortcut[at] : 0);
            }
        assert_int_equal(clvi_moments_create(&m, l->q, l->n, NULL), CLV_OK);
        assert_int_equal(clvi_moments_add(&m, l->samples, l->x[g], t, NULL), CLV_OK);
        assert_int_equal(clvi_covariance_of(&cov[g], &m, NULL), CLV_OK);
        clvi_moments_free(&m);
    }
    assert_int_equal(form->fit(&fit, &l->conv, cov, opts, arena, NULL, NULL), CLV_OK);
    for (size_t g = 0; g < l->groups; g++)
        clvi_covariance_free(&cov[g]);
    clvi_free(cov);
    clvi_free(t);
    return fit;
}

static const float slopes[16] = {0.0F, 0.25F, 1.0F, 1.5F, -0.3F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F};

static const clvi_activation kinds[] = {
    {.kind = CLVI_ACTIVATION_RELU},
    {.kind = CLVI_ACTIVATION_CLIP, .lo = 0, .hi = 4},
    {.kind = CLVI_ACTIVATION_LEAKY, .slope = 0.1},
    {.kind = CLVI_ACTIVATION_PRELU, .slopes = slopes},
    {.kind = CLVI_ACTIVATION_NONE},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const char *const forms[] = {"depthwise", "bottleneck", "channel", "tucker2", "spatial", "output-depthwise"};
#define FORMS (sizeof forms / sizeof *forms)

static const shape beds[] = {{8, 6, 1, 3, 3, 0, 0.2}, {12, 8, 2, 3, 3, 0, 0}, {8, 6, 1, 3, 3, 2, 0.3}};
#define BEDS (sizeof beds / sizeof *beds)

static void check_refit(const bed *b, const char *name, const clvi_activation *a, const clvi_refit_opts *opts)
{
    const clvi_form *form = clvi_form_find(name);
    clvi_fit_opts fit_opts = clvi_fit_opts_default();
    clvi_refit_result result;
    clv_error err = {0};
    clvi_arena *arena = clvi_arena_create();
    fit_opts.max_iterations = 30;
    assert_non_null(arena);
    if (form->macs(&b->l.conv, &fit_opts) > 0 && !form->refuses(&b->l.conv)) {
        const clvi_fit start = first_fit(b, form, &fit_opts, arena);
        const clvi_refit_task task = {&b->l.conv, form, &fit_opts, &start, &b->reservoir, a, NULL};
        if (clvi_refit(&result, &task, opts, arena, NULL, &err) != CLV_OK)
            fail_msg("%s: %s", name, err.msg);
        const double before = plain_loss(b, &start.chain, a), after = plain_loss(b, &result.fit.chain, a);
        assert_true(fabs(result.before - before) < 1e-9 * (1 + before));
        assert_true(fabs(result.after - after) < 1e-9 * (1 + after));
        assert_true(result.after <= result.before);
        assert_true(result.fit.error == result.after);
        assert_int_equal(result.fit.macs_per_pixel, start.macs_per_pixel);
    }
    clvi_arena_free(arena);
}

static void every_form_and_activation_is_never_worse(void **state)
{
    clvi_refit_opts majorise = clvi_refit_opts_default(), alternate = majorise;
    (void)state;
    majorise.rounds = 3;
    majorise.last_rounds = 3;
    alternate.method = CLVI_REFIT_ALTERNATE;
    alternate.rounds = 3;
    for (size_t k = 0; k < BEDS; k++)
        for (size_t i = 0; i < KINDS; i++)
            for (size_t f = 0; f < FORMS; f++) {
                bed b = bed_create(beds[k], 11 + k, (i + f) % 2);
                check_refit(&b, forms[f], &kinds[i], &majorise);
                if (f < 3)
                    check_refit(&b, forms[f], &kinds[i], &alternate);
                bed_free(&b);
            }
}

/* With a ReLU both methods must find much of what least squares leaves, here with half the channels' energy hidden. */
static void relu_gains(void **state)
{
    bed b = bed_create((shape){24, 12, 1, 3, 3, 0, 0}, 5, true);
    const clvi_activation relu = {.kind = CLVI_ACTIVATION_RELU};
    const clvi_refit_method methods[] = {CLVI_REFIT_MAJORISE, CLVI_REFIT_ALTERNATE};
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t k = 0; k < 2; k++) {
            const clvi_form *form = clvi_form_find(forms[f]);
            const clvi_fit_opts fit_opts = clvi_fit_opts_default();
            clvi_refit_opts opts = clvi_refit_opts_default();
            clvi_refit_result result;
            clvi_arena *arena = clvi_arena_create();
            const clvi_fit start = first_fit(&b, form, &fit_opts, arena);
            const clvi_refit_task task = {&b.l.conv, form, &fit_opts, &start, &b.reservoir, &relu, NULL};
            opts.method = methods[k];
            assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_OK);
            print_message("%s, method %zu: %.4f -> %.4f in %d\n", forms[f], k, result.before, result.after,
                          result.rounds);
            assert_true(result.after < 0.9 * result.before);
            clvi_arena_free(arena);
        }
    bed_free(&b);
}

/* The sum of phi plus the ridge's share never rises over rounds of the last link alone. */
static void last_link_is_monotone(void **state)
{
    (void)state;
    for (size_t k = 0; k < BEDS; k++)
        for (size_t i = 0; i < KINDS; i++)
            for (size_t f = 0; f < 4; f++) {
                bed b = bed_create(beds[k], 21 + k, i % 2);
                const clvi_form *form = clvi_form_find(forms[f]);
                clvi_fit_opts opts = clvi_fit_opts_default();
                clvi_arena *arena = clvi_arena_create();
                opts.ridge = 0;
                clvi_fit fit = first_fit(&b, form, &opts, arena);
                clvi_piece piece[16];
                for (size_t j = 0; j < b.l.n * b.l.groups; j++)
                    piece[j] = clvi_activation_piece(&kinds[i], j);
                const clvi_last_task task = {&b.l.conv, &b.reservoir, b.l.cov, piece, 0, 1, 0};
                double before = HUGE_VAL;
                assert_true(clvi_last_fits(&fit.chain, &b.l.conv));
                for (int round = 0; round < 8; round++) {
                    double sum = 0;
                    double *what = make(b.l.n * b.l.groups * b.l.q);
                    assert_int_equal(clvi_chain_expand(&fit.chain, &b.l.conv, what, NULL), CLV_OK);
                    for (size_t s = 0; s < b.l.samples; s++)
                        for (size_t j = 0; j < b.l.n * b.l.groups; j++) {
                            const size_t at = s * b.l.n * b.l.groups + j;
                            double z = (double)fit.chain.link[fit.chain.n - 1].bias[j] +
                                       (b.reservoir.shortcut ? (double)b.shortcut[at] : 0);
                            for (size_t c = 0; c < b.l.q; c++)
                                z += what[j * b.l.q + c] * (double)b.l.x[j / b.l.n][s * b.l.q + c];
                            sum += clvi_piece_bound(&piece[j], (double)b.y[at], z);
                        }
                    clvi_free(what);
                    assert_true(sum <= before * (1 + 1e-5)); /* float32 weights */
                    before = sum;
                    assert_int_equal(clvi_last_improve(&fit.chain, &task, arena, NULL, NULL), CLV_OK);
                }
                clvi_arena_free(arena);
                bed_free(&b);
            }
}

/* One pass against plain loops. */
static void pass_sums_what_it_says(void **state)
{
    bed b = bed_create((shape){6, 5, 1, 3, 3, 0, 0.1}, 3, true);
    const layer *l = &b.l;
    const clvi_activation leaky = {.kind = CLVI_ACTIVATION_LEAKY, .slope = 0.2};
    clvi_piece piece[6];
    double *w = make(l->n * l->q), *h = make(l->n * l->q), bias[6], mean[6], var[6], loss = 0, bound = 0;
    double *t = make(l->samples * l->n);
    (void)state;
    for (size_t i = 0; i < l->n; i++) {
        piece[i] = clvi_activation_piece(&leaky, i);
        bias[i] = 0.1 * (double)i;
    }
    for (size_t i = 0; i < l->n * l->q; i++)
        w[i] = 0.5 * (double)l->w[i];
    const clvi_pass pass = {l->samples,       l->q, l->n, l->n,  l->x[0], b.y, b.shortcut,
                            l->cov[0].mean_x, w,    bias, piece, 0};
    clvi_pass_sums sums = {.h = h, .mean_t = mean, .var_t = var};
    assert_int_equal(clvi_pass_run(&sums, &pass, NULL, NULL), CLV_OK);
    for (size_t s = 0; s < l->samples; s++)
        for (size_t i = 0; i < l->n; i++) {
            double z = bias[i] + (double)b.shortcut[s * l->n + i];
            for (size_t j = 0; j < l->q; j++)
                z += w[i * l->q + j] * (double)l->x[0][s * l->q + j];
            const double y = (double)b.y[s * l->n + i];
            loss += clvi_piece_loss(&piece[i], y, z);
            bound += clvi_piece_bound(&piece[i], y, z);
            t[s * l->n + i] = clvi_piece_target(&piece[i], y, z) - (double)b.shortcut[s * l->n + i];
        }
    assert_true(fabs(sums.loss - loss) < 1e-10 * loss);
    assert_true(fabs(sums.bound - bound) < 1e-10 * bound);
    for (size_t i = 0; i < l->n; i++) {
        double m = 0, v = 0;
        for (size_t s = 0; s < l->samples; s++)
            m += t[s * l->n + i] / (double)l->samples;
        for (size_t s = 0; s < l->samples; s++)
            v += (t[s * l->n + i] - m) * (t[s * l->n + i] - m) / (double)l->samples;
        assert_true(fabs(mean[i] - m) < 1e-10 && fabs(var[i] - v) < 1e-10 * (1 + v));
        for (size_t j = 0; j < l->q; j++) {
            double c = 0;
            for (size_t s = 0; s < l->samples; s++)
                c += (t[s * l->n + i] - m) * ((double)l->x[0][s * l->q + j] - l->cov[0].mean_x[j]) / (double)l->samples;
            assert_true(fabs(h[i * l->q + j] - c) < 1e-10);
        }
    }
    clvi_free(w);
    clvi_free(h);
    clvi_free(t);
    bed_free(&b);
}

static void same_bits_on_any_number_of_threads(void **state)
{
    bed b = bed_create((shape){24, 32, 1, 3, 3, 0, 0.2}, 7, true);
    const clvi_activation relu = {.kind = CLVI_ACTIVATION_RELU};
    const clvi_form *form = clvi_form_find("depthwise");
    const clvi_fit_opts fit_opts = clvi_fit_opts_default();
    const clvi_refit_opts opts = {.rounds = 2, .last_rounds = 2};
    clvi_arena *arena = clvi_arena_create();
    const clvi_fit start = first_fit(&b, form, &fit_opts, arena);
    clvi_refit_result result[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        clv_context context = {0};
        assert_int_equal(clvi_pool_create(&context.pool, k == 0 ? 1 : 3, NULL), CLV_OK);
        const clvi_refit_task task = {&b.l.conv, form, &fit_opts, &start, &b.reservoir, &relu, k ? b.l.cov : NULL};
        assert_int_equal(clvi_refit(&result[k], &task, &opts, arena, &context, NULL), CLV_OK);
        clvi_pool_free(context.pool);
    }
    assert_true(result[0].after == result[1].after);
    for (size_t i = 0; i < 2; i++) {
        const clvi_conv *p = &result[0].fit.chain.link[i], *q = &result[1].fit.chain.link[i];
        assert_memory_equal(p->w, q->w, (size_t)(p->o * p->c / p->groups * p->kh * p->kw) * sizeof *p->w);
    }
    clvi_arena_free(arena);
    bed_free(&b);
}

static void nonsense_is_refused(void **state)
{
    bed b = bed_create((shape){8, 6, 1, 3, 3, 0, 0}, 9, false);
    const clvi_activation relu = {.kind = CLVI_ACTIVATION_RELU}, bad = {.kind = CLVI_ACTIVATION_CLIP, .lo = 1};
    const clvi_form *form = clvi_form_find("depthwise");
    const clvi_fit_opts fit_opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    const clvi_fit start = first_fit(&b, form, &fit_opts, arena);
    clvi_refit_opts opts = clvi_refit_opts_default();
    clvi_refit_task task = {&b.l.conv, form, &fit_opts, &start, &b.reservoir, &bad, NULL};
    clvi_refit_result result;
    (void)state;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_ARG);
    task.activation = &relu;
    opts.rounds = -1;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_ARG);
    opts.rounds = 1;
    b.reservoir.rows = 1;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_ARG);
    b.reservoir.rows = b.l.samples;
    clvi_covariance other = b.l.cov[0];
    other.q++;
    task.cov = &other;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_ARG);
    task.cov = b.l.cov;
    b.y[5] = NAN;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_NUMERIC);
    b.y[5] = 0;
    b.l.x[0][5] = INFINITY;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_NUMERIC);
    task.cov = NULL;
    assert_int_equal(clvi_refit(&result, &task, &opts, arena, NULL, NULL), CLV_ERR_NUMERIC);
    clvi_arena_free(arena);
    bed_free(&b);
}

/* Every allocation that can fail does, once. */
static void short_of_memory(void **state)
{
    bed b = bed_create((shape){6, 4, 1, 3, 3, 0, 0}, 10, true);
    const clvi_activation relu = {.kind = CLVI_ACTIVATION_RELU};
    const clvi_form *form = clvi_form_find("depthwise");
    clvi_fit_opts fit_opts = clvi_fit_opts_default();
    fit_opts.method = CLVI_METHOD_GSVD;
    clvi_arena *arena = clvi_arena_create();
    const clvi_fit start = first_fit(&b, form, &fit_opts, arena);
    const clvi_refit_opts opts = {.rounds = 1, .last_rounds = 1};
    const clvi_refit_task task = {&b.l.conv, form, &fit_opts, &start, &b.reservoir, &relu, NULL};
    clv_status st = CLV_ERR_NOMEM;
    (void)state;
    for (long allowed = 0; st != CLV_OK; allowed++) {
        clvi_refit_result result;
        clvi_arena *own = clvi_arena_create();
        const long live = clvi_mem_live();
        clvi_mem_fail_after(allowed);
        st = clvi_refit(&result, &task, &opts, own, NULL, NULL);
        clvi_mem_fail_after(-1);
        assert_true(st == CLV_OK || st == CLV_ERR_NOMEM);
        if (st != CLV_OK)
            assert_true(clvi_mem_live() <= live + 1); /* the arena's first block */
        clvi_arena_free(own);
        assert_true(allowed < 2000);
    }
    clvi_arena_free(arena);
    bed_free(&b);
    assert_int_equal(clvi_mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_sums_what_it_says),
        cmocka_unit_test(last_link_is_monotone),
        cmocka_unit_test(every_form_and_activation_is_never_worse),
        cmocka_unit_test(relu_gains),
        cmocka_unit_test(same_bits_on_any_number_of_threads),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(short_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
