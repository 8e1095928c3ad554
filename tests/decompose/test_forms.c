/* SPDX-License-Identifier: Apache-2.0 */
/* The bottleneck and the channel form, and what is true of any chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/fixture.h"
#include "linalg/factor.h"

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

static void forms_and_methods_are_found_by_name(void **state)
{
    (void)state;
    size_t n;
    clvi_method method;
    const clvi_form *const *all = clvi_form_all(&n);
    assert_int_equal(n, 9);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(clvi_form_find(all[i]->name), all[i]);
    assert_null(clvi_form_find("depth"));
    for (int m = CLVI_METHOD_SVD; m <= CLVI_METHOD_JOINT; m++) {
        assert_true(clvi_method_parse(clvi_method_name((clvi_method)m), &method));
        assert_int_equal(method, m);
    }
    assert_false(clvi_method_parse("magic", &method));
    assert_string_equal(clvi_method_name((clvi_method)99), "unknown");
}

/* e(W^) against the samples, for a W^ that is no fit. */
static void the_error_of_any_weights_is_the_expectation(void **state)
{
    (void)state;
    layer l = layer_create(shapes[1], 1);
    clvi_rng rng;
    double *what = make(l.n * l.q);
    float *bias = clvi_alloc_array(l.n, sizeof *bias);
    clvi_rng_seed(&rng, 5);
    for (size_t i = 0; i < l.n * l.q; i++)
        what[i] = clvi_rng_normal(&rng);
    for (size_t i = 0; i < l.n; i++) {
        double b = l.cov[0].mean_t[i];
        for (size_t j = 0; j < l.q; j++)
            b -= what[i * l.q + j] * l.cov[0].mean_x[j];
        bias[i] = (float)b;
    }
    const double brute = brute_error(&l, what, bias);
    assert_true(fabs(clvi_error_of(l.cov, what) - brute) < 1e-6 * brute);
    memset(what, 0, l.n * l.q * sizeof *what);
    assert_true(fabs(clvi_error_of(l.cov, what) - 1) < 1e-12);
    clvi_free(what);
    clvi_free(bias);
    layer_free(&l);
}

static void channel_is_the_principal_components(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        if (shapes[s].drift > 0)
            continue;
        layer l = layer_create(shapes[s], 20 + s);
        for (size_t r = 1; r <= l.n; r++) {
            double dropped = 0, total = 0;
            for (size_t g = 0; g < l.groups; g++) {
                double *t = make(l.n * l.n), *values = make(l.n);
                memcpy(t, l.cov[g].t, l.n * l.n * sizeof *t);
                assert_int_equal(clvi_eigh(t, values, l.n, NULL), CLV_OK);
                for (size_t i = 0; i < l.n; i++) {
                    total += values[i];
                    dropped += i >= r ? values[i] : 0;
                }
                clvi_free(t);
                clvi_free(values);
            }
            const double error = error_of("channel", &l, CLVI_METHOD_JOINT, (int64_t)(r * l.groups));
            assert_true(fabs(error - dropped / total) < 1e-5);
            assert_true(error <= error_of("channel", &l, CLVI_METHOD_SVD, (int64_t)(r * l.groups)) + 1e-5);
        }
        layer_free(&l);
    }
}

static void bottleneck_shrinks_with_size_to_nothing(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 40 + s);
        double last = 1;
        for (size_t r = 1; r <= l.q; r = r < l.q && 3 * r > l.q ? l.q : 3 * r) {
            const double error = error_of("bottleneck", &l, CLVI_METHOD_JOINT, (int64_t)(r * l.groups));
            assert_true(error <= last + 1e-6);
            last = error;
        }
        if (shapes[s].drift == 0)
            assert_true(last < 1e-6);
        layer_free(&l);
    }
}

/* A layer that is a bottleneck is found to be one. */
static void bottleneck_recovers_a_planted_one(void **state)
{
    (void)state;
    const shape p = {10, 8, 1, 3, 3, 0, 0};
    layer l = layer_create(p, 3);
    clvi_rng rng;
    clvi_moments m;
    clvi_rng_seed(&rng, 8);
    memset(l.w, 0, l.n * l.q * sizeof *l.w);
    for (int r = 0; r < 3; r++) {
        double out[10], in[8], tap[9];
        for (size_t i = 0; i < 10; i++)
            out[i] = clvi_rng_normal(&rng);
        for (size_t i = 0; i < 8; i++)
            in[i] = clvi_rng_normal(&rng);
        for (size_t i = 0; i < 9; i++)
            tap[i] = clvi_rng_normal(&rng);
        for (size_t i = 0; i < l.n * l.q; i++)
            l.w[i] += (float)(out[i / l.q] * in[i % l.q / 9] * tap[i % 9]);
    }
    fill_target(&l, 0, l.cov[0].h, 0, &rng);
    clvi_covariance_free(l.cov);
    assert_int_equal(clvi_moments_create(&m, l.q, l.n, NULL), CLV_OK);
    assert_int_equal(clvi_moments_add(&m, l.samples, l.x[0], l.t[0], NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(l.cov, &m, NULL), CLV_OK);
    clvi_moments_free(&m);
    assert_true(error_of("bottleneck", &l, CLVI_METHOD_JOINT, 3) < 1e-5);
    assert_true(error_of("bottleneck", &l, CLVI_METHOD_JOINT, 2) > 1e-3);
    layer_free(&l);
}

static void sizes_follow_from_a_multiplier_at_equal_cost(void **state)
{
    (void)state;
    const char *const names[] = {"bottleneck", "channel"};
    const clvi_form *dw = clvi_form_find("depthwise");
    clvi_conv v = {.o = 64, .c = 64, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    clvi_fit_opts opts = clvi_fit_opts_default();
    for (int stride = 1; stride <= 2; stride++)
        for (opts.multiplier = 1; opts.multiplier <= 4; opts.multiplier++)
            for (size_t i = 0; i < 2; i++) {
                v.sh = v.sw = stride;
                const int64_t macs = clvi_form_find(names[i])->macs(&v, &opts), limit = dw->macs(&v, &opts);
                assert_true(macs <= limit && macs > limit - 700);
            }
    v.sh = v.sw = 2;
    opts.size = 10;
    assert_int_equal(clvi_form_find("bottleneck")->macs(&v, &opts), 4 * 64 * 10 + 9 * 10 + 64 * 10);
    assert_int_equal(clvi_form_find("channel")->macs(&v, &opts), 576 * 10 + 64 * 10);
    opts.size = 577;
    assert_int_equal(clvi_form_find("bottleneck")->macs(&v, &opts), 0);
    opts.size = 65;
    assert_int_equal(clvi_form_find("channel")->macs(&v, &opts), 0);
    opts.size = -1;
    assert_int_equal(clvi_form_find("channel")->macs(&v, &opts), 0);
    v.groups = 4;
    opts.size = 10; /* not the same number in each group */
    assert_int_equal(clvi_form_find("channel")->macs(&v, &opts), 0);
}

static void refusals_and_bad_input(void **state)
{
    (void)state;
    const char *const names[] = {"bottleneck", "channel"};
    layer l = layer_create(shapes[0], 7);
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    for (size_t i = 0; i < 2; i++) {
        const clvi_form *f = clvi_form_find(names[i]);
        clvi_fit_opts opts = clvi_fit_opts_default();
        opts.size = 2;
        assert_null(f->refuses(&l.conv));
        clvi_conv tiny = {.o = 1, .c = 1, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1};
        assert_non_null(f->refuses(&tiny));
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.method = CLVI_METHOD_SVD;
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_OK);
        assert_true(fit.error > 0 && fit.error < 1);
        opts = clvi_fit_opts_default();
        opts.size = 1000;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.size = 2;
        l.w[0] = NAN;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
        l.w[0] = 1;
    }
    clvi_arena_free(arena);
    layer_free(&l);
}

static void threads_and_memory(void **state)
{
    (void)state;
    const char *const names[] = {"bottleneck", "channel"};
    const shape p = {40, 32, 1, 3, 3, 0, 0.2}, small = {3, 2, 1, 2, 2, 0, 0};
    layer big = layer_create(p, 9), l = layer_create(small, 9);
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.size = 24;
    opts.max_iterations = 10;
    for (size_t i = 0; i < 2; i++) {
        double error[2];
        for (int threads = 1; threads <= 2; threads++) {
            clv_context_opts co = clv_context_opts_default();
            clv_context *context;
            clvi_arena *arena = clvi_arena_create();
            co.threads = threads;
            assert_int_equal(clv_context_create(&context, &co, NULL), CLV_OK);
            error[threads - 1] = checked_fit(names[i], &big, &opts, arena, context).error;
            clvi_arena_free(arena);
            clv_context_free(context);
        }
        assert_true(error[0] == error[1]);
    }
    opts.size = 2;
    opts.max_iterations = 3;
    const long live = clvi_mem_live();
    for (size_t i = 0; i < 2; i++)
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
    layer_free(&big);
    layer_free(&l);
}

/* A spatially separable pair, kh x 1 then 1 x kw with strides and pads shared out, multiplied out by hand. */
static void chains_multiply_out(void **state)
{
    (void)state;
    const float vertical[2 * 3] = {1, 2, 3, 4, 5, 6};                   /* [2, 1, 3, 1] */
    const float horizontal[1 * 2 * 3] = {1, 10, 100, 1000, 1e4F, 1e5F}; /* [1, 2, 1, 3] */
    const clvi_conv original = {.o = 1,
                                .c = 1,
                                .groups = 1,
                                .kh = 3,
                                .kw = 3,
                                .sh = 2,
                                .sw = 2,
                                .dh = 2,
                                .dw = 1,
                                .pt = 1,
                                .pl = 2,
                                .pb = 0,
                                .pr = 0,
                                .rank = 4};
    clvi_chain chain = {.n = 2};
    double w[9];
    chain.link[0] = (clvi_conv){.o = 2,
                                .c = 1,
                                .groups = 1,
                                .kh = 3,
                                .kw = 1,
                                .sh = 2,
                                .sw = 1,
                                .dh = 2,
                                .dw = 1,
                                .pt = 1,
                                .rank = 4,
                                .w = vertical};
    chain.link[1] = (clvi_conv){.o = 1,
                                .c = 2,
                                .groups = 1,
                                .kh = 1,
                                .kw = 3,
                                .sh = 1,
                                .sw = 2,
                                .dh = 1,
                                .dw = 1,
                                .pl = 2,
                                .rank = 4,
                                .w = horizontal};
    assert_int_equal(clvi_chain_expand(&chain, &original, w, NULL), CLV_OK);
    for (size_t y = 0; y < 3; y++)
        for (size_t x = 0; x < 3; x++) {
            const double want =
                (double)vertical[y] * (double)horizontal[x] + (double)vertical[3 + y] * (double)horizontal[3 + x];
            assert_true(fabs(w[y * 3 + x] - want) < 1e-9);
        }
    clv_error err = {0};
    chain.link[1].sw = 1;
    assert_int_equal(clvi_chain_expand(&chain, &original, w, &err), CLV_ERR_ARG);
    chain.link[1].sw = 2;
    chain.link[1].dw = 2; /* reads pixels that the original does not */
    assert_int_equal(clvi_chain_expand(&chain, &original, w, &err), CLV_ERR_ARG);
    chain.link[1].dw = 1;
    chain.link[1].c = 3;
    assert_int_equal(clvi_chain_expand(&chain, &original, w, &err), CLV_ERR_ARG);
    const int32_t wild[2] = {0, 7};
    chain.link[1].c = 2;
    chain.gather[1] = wild;
    assert_int_equal(clvi_chain_expand(&chain, &original, w, &err), CLV_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_and_methods_are_found_by_name),
        cmocka_unit_test(the_error_of_any_weights_is_the_expectation),
        cmocka_unit_test(channel_is_the_principal_components),
        cmocka_unit_test(bottleneck_shrinks_with_size_to_nothing),
        cmocka_unit_test(bottleneck_recovers_a_planted_one),
        cmocka_unit_test(sizes_follow_from_a_multiplier_at_equal_cost),
        cmocka_unit_test(refusals_and_bad_input),
        cmocka_unit_test(threads_and_memory),
        cmocka_unit_test(chains_multiply_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
