/* SPDX-License-Identifier: Apache-2.0 */
/* The forms that take something away: input channels, or the layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/fixture.h"
#include "decompose/prune.h"
#include "linalg/regress.h"

static double error_of(const char *form, const layer *l, clvi_method method, int64_t size)
{
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    opts.method = method;
    opts.size = size;
    const double error = checked_fit(form, l, &opts, arena, NULL).error;
    clvi_arena_free(arena);
    return error;
}

/* The regularised objective of the best fit on the channels in `mask`, by solving for it. */
static double objective_of(const clvi_group *g, unsigned mask)
{
    size_t index[128], p = 0;
    for (size_t j = 0; j < g->q; j++)
        if (mask >> j / g->k & 1)
            index[p++] = j;
    double *s = make(p * p), *x = make(g->n * p), sum = g->total;
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < p; j++)
            s[i * p + j] = g->s[index[i] * g->q + index[j]];
    for (size_t r = 0; r < g->n; r++)
        for (size_t j = 0; j < p; j++)
            x[r * p + j] = g->h[r * g->q + index[j]];
    if (p)
        assert_int_equal(clvi_solve_spd(NULL, s, p, x, g->n, NULL), CLV_OK);
    for (size_t r = 0; r < g->n; r++)
        for (size_t j = 0; j < p; j++)
            sum -= x[r * p + j] * g->h[r * g->q + index[j]];
    clvi_free(s);
    clvi_free(x);
    return sum;
}

/* Every step of the elimination takes the channel whose removal a regression anew finds to cost least, and its
 * objective is that regression's. */
static void elimination_is_exact_at_every_step(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 90 + s);
        clvi_group g;
        assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, 1e-3, NULL, NULL), CLV_OK);
        size_t *removed = clvi_alloc_array(g.c, sizeof *removed);
        double *objective = make(g.c);
        unsigned mask = (1U << g.c) - 1;
        assert_int_equal(clvi_prune_order(&g, true, 0, removed, objective, NULL), CLV_OK);
        for (size_t step = 0; step < g.c; step++) {
            double best = (double)INFINITY;
            for (size_t i = 0; i < g.c; i++)
                if (mask >> i & 1)
                    best = fmin(best, objective_of(&g, mask & ~(1U << i)));
            assert_true(mask >> removed[step] & 1);
            mask &= ~(1U << removed[step]);
            const double got = objective_of(&g, mask);
            if (!(fabs(got - best) < 1e-9 * g.total && fabs(got - objective[step]) < 1e-9 * g.total))
                fail_msg("shape %zu, step %zu: %.12g, best %.12g, said %.12g", s, step, got, best, objective[step]);
        }
        assert_true(fabs(objective[g.c - 1] - g.total) < 1e-9 * g.total);
        if (shapes[s].dead) /* dead channels go first, in order, and cost nothing */
            for (size_t i = 0; i < shapes[s].dead; i++)
                assert_int_equal(removed[i], i);
        clvi_free(removed);
        clvi_free(objective);
        clvi_group_free(&g);
        layer_free(&l);
    }
}

static void pruning_loses_more_with_each_channel(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 120 + s);
        const int64_t c = l.conv.c / l.conv.groups;
        double last = 1 + 1e-6;
        for (int64_t size = 1; size <= c; size++) {
            const double error = error_of("prune", &l, CLVI_METHOD_JOINT, size * l.conv.groups);
            const double blind = error_of("prune", &l, CLVI_METHOD_SVD, size * l.conv.groups);
            if (error > last + 1e-5)
                fail_msg("shape %zu, size %d: error %.9f after %.9f", s, (int)size, error, last);
            assert_true(error <= blind + 1e-5 || size < c); /* the two choose different channels */
            last = error;
            if (size == c && shapes[s].drift == 0)
                assert_true(error < 1e-6 && blind < 1e-6);
        }
        layer_free(&l);
    }
}

/* From the channels of a larger size the elimination goes the same way as from all of them; a start that is no such
 * chain is not used. */
static void a_larger_fit_is_a_start(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 150 + s);
        clvi_arena *arena = clvi_arena_create();
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_fit last = {0};
        for (int64_t size = l.conv.c; size >= l.conv.groups; size -= l.conv.groups) {
            opts.size = size;
            opts.start = NULL;
            const clvi_fit plain = checked_fit("prune", &l, &opts, arena, NULL);
            opts.start = size < l.conv.c ? &last.chain : NULL;
            const clvi_fit warm = checked_fit("prune", &l, &opts, arena, NULL);
            assert_memory_equal(plain.chain.gather[0], warm.chain.gather[0], (size_t)size * sizeof(int32_t));
            assert_true(plain.error == warm.error);
            if (size == l.conv.groups) { /* a smaller one, or one of another convolution: as without */
                clvi_chain wrong = warm.chain;
                const int32_t wild[1] = {1000};
                opts.size = l.conv.c / l.conv.groups > 1 ? 2 * l.conv.groups : size;
                opts.start = &wrong;
                const clvi_fit small = checked_fit("prune", &l, &opts, arena, NULL);
                assert_true(small.error <= warm.error);
                if (l.conv.groups == 1) {
                    opts.size = 1;
                    wrong.gather[0] = wild;
                    assert_true(checked_fit("prune", &l, &opts, arena, NULL).error == plain.error);
                }
            }
            last = warm;
        }
        clvi_arena_free(arena);
        layer_free(&l);
    }
}

/* Channels whose weights are nothing, or that say what others say, go and cost nothing. */
static void superfluous_channels_are_found(void **state)
{
    (void)state;
    const shape p = {6, 5, 1, 3, 3, 0, 0};
    layer l = layer_create(p, 5);
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    clvi_moments m;
    clvi_rng rng;
    clvi_rng_seed(&rng, 1);
    for (size_t i = 0; i < l.n; i++)
        for (size_t t = 0; t < 9; t++)
            l.w[i * l.q + 9 + t] = 0; /* channel 1 has no weights */
    for (size_t s = 0; s < l.samples; s++)
        for (size_t t = 0; t < 9; t++) /* channel 4 is half channel 2 */
            l.x[0][s * l.q + 36 + t] = 0.5F * l.x[0][s * l.q + 18 + t];
    fill_target(&l, 0, l.cov[0].h, 0, &rng);
    clvi_covariance_free(l.cov);
    assert_int_equal(clvi_moments_create(&m, l.q, l.n, NULL), CLV_OK);
    assert_int_equal(clvi_moments_add(&m, l.samples, l.x[0], l.t[0], NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(l.cov, &m, NULL), CLV_OK);
    clvi_moments_free(&m);
    opts.size = 3;
    opts.ridge = 1e-6;
    const clvi_fit fit = checked_fit("prune", &l, &opts, arena, NULL);
    assert_true(fit.error < 1e-6);
    assert_int_equal(fit.chain.n, 1);
    assert_int_equal(fit.chain.gather[0][0], 0);
    assert_int_equal(fit.chain.gather[0][1], 2);
    assert_int_equal(fit.chain.gather[0][2], 3);
    opts.size = 2;
    assert_true(checked_fit("prune", &l, &opts, arena, NULL).error > 1e-3);
    clvi_arena_free(arena);
    layer_free(&l);
}

/* Geometry in which each output has its own input pixel: asymmetric pads, a kernel whose own tap is not its middle. */
static void set_own_tap(layer *l)
{
    l->conv.sh = l->conv.sw = 1;
    l->conv.dh = 2;
    l->conv.dw = 1;
    l->conv.pt = 2;
    l->conv.pb = 2 * (l->conv.kh - 1) - 2;
    l->conv.pl = 0;
    l->conv.pr = l->conv.kw - 1;
}

static void a_removed_layer_is_a_constant_or_a_scale(void **state)
{
    (void)state;
    static const shape square[] = {
        {6, 6, 1, 3, 3, 0, 0}, {8, 8, 2, 3, 3, 0, 0.3}, {5, 5, 1, 2, 5, 2, 0.1}, {4, 4, 4, 3, 3, 0, 0}};
    for (size_t s = 0; s < sizeof square / sizeof *square; s++) {
        layer l = layer_create(square[s], 7 + s);
        const size_t k = (size_t)(l.conv.kh * l.conv.kw), tap = (size_t)l.conv.kw;
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_arena *arena = clvi_arena_create();
        set_own_tap(&l);
        assert_true(fabs(error_of("remove", &l, CLVI_METHOD_JOINT, 1) - 1) < 1e-9);
        opts.ridge = 0;
        const clvi_fit fit = checked_fit("remove", &l, &opts, arena, NULL);
        double best = 0, total = 0; /* the regression on one tap leaves t_jj - h^2 / s */
        for (size_t g = 0; g < l.groups; g++)
            for (size_t i = 0; i < l.n; i++) {
                const size_t own = i * k + tap;
                const double v = l.cov[g].s[own * l.q + own], h = l.cov[g].h[i * l.q + own];
                total += l.cov[g].t[i * l.n + i];
                best += l.cov[g].t[i * l.n + i] - (v > 1e-12 ? h * h / v : 0);
            }
        assert_true(fabs(fit.error - best / total) < 1e-6);
        assert_true(fit.error < 1);
        assert_int_equal(fit.chain.link[0].groups, l.conv.c);
        opts.size = 2;
        assert_true(checked_fit("remove", &l, &opts, arena, NULL).error == fit.error);
        clvi_arena_free(arena);
        layer_free(&l);
    }
}

/* A layer that does nothing: y = x. */
static void the_identity_is_removed_without_loss(void **state)
{
    (void)state;
    const shape p = {5, 5, 1, 3, 3, 0, 0};
    layer l = layer_create(p, 4);
    clvi_arena *arena = clvi_arena_create();
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_fit fit;
    double what[5 * 45];
    set_own_tap(&l);
    memset(l.w, 0, l.n * l.q * sizeof *l.w);
    for (size_t i = 0; i < 5; i++)
        l.w[i * l.q + i * 9 + 3] = 1;
    opts.method = CLVI_METHOD_SVD;
    assert_int_equal(clvi_form_find("remove")->fit(&fit, &l.conv, NULL, &opts, arena, NULL, NULL), CLV_OK);
    assert_true(fit.error == 0);
    assert_int_equal(clvi_chain_expand(&fit.chain, &l.conv, what, NULL), CLV_OK);
    for (size_t i = 0; i < 5 * 45; i++)
        assert_true(what[i] == (double)l.w[i]);
    opts.size = 1;
    assert_int_equal(clvi_form_find("remove")->fit(&fit, &l.conv, NULL, &opts, arena, NULL, NULL), CLV_OK);
    assert_true(fit.error == 1);
    assert_int_equal(fit.chain.link[0].c, 0);
    clvi_arena_free(arena);
    layer_free(&l);
}

static void sizes_and_costs(void **state)
{
    (void)state;
    const clvi_form *prune = clvi_form_find("prune"), *gone = clvi_form_find("remove");
    clvi_conv v = {.o = 48, .c = 32, .groups = 1, .kh = 3, .kw = 5, .sh = 2, .sw = 3, .dh = 1, .dw = 1};
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.size = 12;
    assert_int_equal(prune->macs(&v, &opts), 12 * 48 * 15);
    assert_int_equal(gone->macs(&v, &opts), 0);
    opts.size = 32;
    assert_int_equal(prune->macs(&v, &opts), clvi_conv_macs_per_pixel(&v));
    opts.size = 33;
    assert_int_equal(prune->macs(&v, &opts), 0);
    opts.size = -1;
    assert_int_equal(prune->macs(&v, &opts), 0);
    assert_int_equal(gone->macs(&v, &opts), 0);
    opts.size = 0;
    assert_int_equal(gone->macs(&v, &opts), 48);
    for (opts.multiplier = 1; opts.multiplier <= 4; opts.multiplier++) {
        const int64_t cost = prune->macs(&v, &opts), limit = clvi_form_find("depthwise")->macs(&v, &opts);
        assert_true(cost <= limit && cost > limit - 48 * 15);
    }
    v.groups = 4;
    opts.size = 10; /* not the same number in each group */
    assert_int_equal(prune->macs(&v, &opts), 0);
    opts.size = 8;
    assert_int_equal(prune->macs(&v, &opts), 8 * 12 * 15);
    opts.size = 2; /* a scale: only where input and output are the same in number, size and place */
    assert_int_equal(gone->macs(&v, &opts), 0);
    v = (clvi_conv){.o = 9, .c = 9, .groups = 3, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 2};
    v.pt = v.pb = 1;
    v.pl = v.pr = 2;
    assert_int_equal(gone->macs(&v, &opts), 9);
    v.pr = 1;
    assert_int_equal(gone->macs(&v, &opts), 0);
    v.pr = 2;
    v.sw = 2;
    assert_int_equal(gone->macs(&v, &opts), 0);
}

static void refusals_and_bad_input(void **state)
{
    (void)state;
    static const char *const names[] = {"prune", "remove"};
    layer l = layer_create(shapes[0], 7);
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    set_own_tap(&l);
    for (size_t i = 0; i < 2; i++) {
        const clvi_form *f = clvi_form_find(names[i]);
        clvi_fit_opts opts = clvi_fit_opts_default();
        assert_null(f->refuses(&l.conv));
        opts.size = 1;
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.size = 1000;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.size = 1;
        clvi_conv wrong = l.conv;
        wrong.sh = 0;
        assert_int_equal(f->fit(&fit, &wrong, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    }
    clvi_conv depthwise = l.conv;
    depthwise.o = depthwise.c = depthwise.groups = 6;
    assert_non_null(clvi_form_find("prune")->refuses(&depthwise));
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.size = 2;
    assert_int_equal(clvi_form_find("remove")->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    l.w[0] = NAN;
    assert_int_equal(clvi_form_find("prune")->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
    clvi_arena_free(arena);
    layer_free(&l);
}

static void threads_and_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"prune", "remove"};
    const shape p = {40, 40, 1, 3, 3, 0, 0.2}, small = {2, 2, 1, 2, 2, 0, 0};
    layer big = layer_create(p, 9), l = layer_create(small, 9);
    set_own_tap(&big);
    l.conv.sh = l.conv.sw = l.conv.dw = 1;
    l.conv.pt = l.conv.pr = 1;
    l.conv.pb = l.conv.pl = 0;
    for (size_t i = 0; i < 2; i++) {
        float *weights[2];
        clvi_fit_opts opts = clvi_fit_opts_default();
        opts.size = i ? 2 : 17;
        const size_t bytes = (i ? 40 : (size_t)40 * 17 * 9) * sizeof(float);
        for (int threads = 1; threads <= 2; threads++) {
            clv_context_opts co = clv_context_opts_default();
            clv_context *context;
            clvi_arena *arena = clvi_arena_create();
            co.threads = threads;
            assert_int_equal(clv_context_create(&context, &co, NULL), CLV_OK);
            const clvi_fit fit = checked_fit(names[i], &big, &opts, arena, context);
            weights[threads - 1] = clvi_alloc(bytes);
            memcpy(weights[threads - 1], fit.chain.link[0].w, bytes);
            clvi_arena_free(arena);
            clv_context_free(context);
        }
        assert_memory_equal(weights[0], weights[1], bytes);
        clvi_free(weights[0]);
        clvi_free(weights[1]);
        const long live = clvi_mem_live();
        for (opts.size = 1; opts.size <= (int64_t)i + 1; opts.size++)
            for (long permitted = 0;; permitted++) {
                clvi_fit fit;
                clv_status st = CLV_ERR_NOMEM;
                clvi_mem_fail_after(permitted);
                clvi_arena *arena = clvi_arena_create();
                if (arena)
                    st = clvi_form_find(names[i])->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, NULL);
                clvi_mem_fail_after(-1);
                clvi_arena_free(arena);
                assert_int_equal(clvi_mem_live(), live);
                if (st == CLV_OK)
                    break;
                assert_int_equal(st, CLV_ERR_NOMEM);
            }
    }
    layer_free(&big);
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elimination_is_exact_at_every_step),
        cmocka_unit_test(pruning_loses_more_with_each_channel),
        cmocka_unit_test(a_larger_fit_is_a_start),
        cmocka_unit_test(superfluous_channels_are_found),
        cmocka_unit_test(a_removed_layer_is_a_constant_or_a_scale),
        cmocka_unit_test(the_identity_is_removed_without_loss),
        cmocka_unit_test(sizes_and_costs),
        cmocka_unit_test(refusals_and_bad_input),
        cmocka_unit_test(threads_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
