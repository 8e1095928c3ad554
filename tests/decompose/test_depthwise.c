/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/fixture.h"

/* Errors are those of float32 weights; two optima that are equal in exact arithmetic may differ by this. */
#define ROUNDING 1e-9

static double error_at(const layer *l, clvi_method method, double multiplier, bool uneven, double ridge)
{
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    opts.ridge = ridge;
    opts.method = method;
    opts.multiplier = multiplier;
    opts.uneven = uneven;
    const double error = checked_fit("depthwise", l, &opts, arena, NULL).error;
    clvi_arena_free(arena);
    return error;
}

static double error_of(const layer *l, clvi_method method, double multiplier, bool uneven)
{
    return error_at(l, method, multiplier, uneven, clvi_fit_opts_default().ridge);
}

static void joint_is_below_sweeps_is_below_their_start(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++)
        for (double m = 1; m <= 2 && m <= full_multiplier(&shapes[s]); m++) {
            layer l = layer_create(shapes[s], 10 + s);
            const double svd = error_of(&l, CLVI_METHOD_SVD, m, false), gsvd = error_of(&l, CLVI_METHOD_GSVD, m, false);
            const double inter = error_of(&l, CLVI_METHOD_INTER_CHANNEL, m, false);
            const double sweeps = error_of(&l, CLVI_METHOD_SWEEPS, m, false),
                         joint = error_of(&l, CLVI_METHOD_JOINT, m, false);
            assert_true(sweeps <= fmin(svd, fmin(gsvd, inter)) + ROUNDING);
            assert_true(joint <= sweeps + ROUNDING);
            layer_free(&l);
        }
}

/* Without ridge and with a target that x does not explain, what is left at full multiplier is the regression's
 * residual. */
static double residual_of_regression(const layer *l)
{
    double left = 0, total = 0;
    for (size_t g = 0; g < l->groups; g++) { /* Gaussian elimination on S, no library */
        const clvi_covariance *c = &l->cov[g];
        const size_t q = c->q, n = c->n;
        double *a = make(q * (q + n));
        for (size_t i = 0; i < q; i++) {
            for (size_t j = 0; j < q; j++)
                a[i * (q + n) + j] = c->s[i * q + j];
            for (size_t j = 0; j < n; j++)
                a[i * (q + n) + q + j] = c->h[j * q + i];
        }
        for (size_t p = 0; p < q; p++)
            for (size_t i = p + 1; i < q && a[p * (q + n) + p] > 1e-12; i++) {
                const double f = a[i * (q + n) + p] / a[p * (q + n) + p];
                for (size_t j = p; j < q + n; j++)
                    a[i * (q + n) + j] -= f * a[p * (q + n) + j];
            }
        for (size_t j = 0; j < n; j++) {
            total += c->t[j * n + j];
            left += c->t[j * n + j];
            for (size_t p = 0; p < q; p++)
                if (a[p * (q + n) + p] > 1e-12)
                    left -= a[p * (q + n) + q + j] * a[p * (q + n) + q + j] / a[p * (q + n) + p];
        }
        clvi_free(a);
    }
    return left / total;
}

static void full_multiplier_reproduces_the_layer(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 30 + s);
        const double best = residual_of_regression(&l), full = full_multiplier(&shapes[s]);
        for (int method = CLVI_METHOD_SVD; method <= CLVI_METHOD_JOINT; method++) {
            const double error = error_of(&l, (clvi_method)method, full + 1, false); /* more than full is full */
            const double loose = error_at(&l, (clvi_method)method, full, false, 0);
            if (shapes[s].drift == 0)
                assert_true(error < 1e-9 && loose < 1e-9);
            else if (method == CLVI_METHOD_GSVD || method >= CLVI_METHOD_SWEEPS)
                assert_true(fabs(loose - best) < 1e-6 && error > best - 1e-6);
        }
        layer_free(&l);
    }
}

static void uneven_is_no_worse_than_even(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        layer l = layer_create(shapes[s], 50 + s);
        assert_true(error_of(&l, CLVI_METHOD_JOINT, 1, true) <= error_of(&l, CLVI_METHOD_JOINT, 1, false) + ROUNDING);
        layer_free(&l);
    }
}

/* A channel that carries nothing should lose its filters to the others. */
static void uneven_moves_filters_to_where_they_matter(void **state)
{
    (void)state;
    const shape p = {12, 8, 1, 3, 3, 3, 0};
    layer l = layer_create(p, 3);
    clvi_fit_opts opts = clvi_fit_opts_default();
    for (int method = CLVI_METHOD_SVD; method <= CLVI_METHOD_JOINT; method++)
        for (double m = 0.5; m <= 2; m += 0.5) {
            clvi_arena *arena = clvi_arena_create();
            opts.method = (clvi_method)method;
            opts.multiplier = m;
            opts.uneven = true;
            const clvi_fit fit = checked_fit("depthwise", &l, &opts, arena, NULL);
            const clvi_conv *dw = &fit.chain.link[0];
            assert_int_equal(fit.macs_per_pixel, (int64_t)(m * 8) * (12 + 9));
            assert_int_equal(dw->o, (int64_t)(m * 8));
            if (fit.chain.gather[0]) {
                assert_int_equal(dw->groups, dw->o);
                assert_int_equal(dw->c, dw->o);
                for (int64_t a = 1; a < dw->o; a++)
                    assert_true(fit.chain.gather[0][a - 1] <= fit.chain.gather[0][a]);
            }
            if (method == CLVI_METHOD_JOINT) {
                assert_non_null(fit.chain.gather[0]);
                assert_true(fit.chain.gather[0][0] >= 3); /* the three dead channels got none */
            }
            clvi_arena_free(arena);
        }
    layer_free(&l);
}

static void dead_channels_give_zeros(void **state)
{
    (void)state;
    const shape p = {8, 6, 1, 3, 3, 2, 0.1};
    layer l = layer_create(p, 4);
    for (int method = CLVI_METHOD_GSVD; method <= CLVI_METHOD_JOINT; method++) {
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_arena *arena = clvi_arena_create();
        opts.method = (clvi_method)method;
        opts.multiplier = 2;
        const clvi_fit fit = checked_fit("depthwise", &l, &opts, arena, NULL);
        double *what = make(l.n * l.q);
        assert_int_equal(clvi_chain_expand(&fit.chain, &l.conv, what, NULL), CLV_OK);
        for (size_t i = 0; i < l.n; i++)
            for (size_t j = 0; j < 2 * 9; j++)
                assert_true(what[i * l.q + j] == 0);
        clvi_free(what);
        clvi_arena_free(arena);
    }
    /* and when nothing at all varies */
    memset(l.cov[0].s, 0, l.q * l.q * sizeof(double));
    memset(l.cov[0].h, 0, l.n * l.q * sizeof(double));
    for (int method = CLVI_METHOD_SVD; method <= CLVI_METHOD_JOINT; method++)
        for (int uneven = 0; uneven < 2; uneven++) {
            clvi_fit_opts opts = clvi_fit_opts_default();
            clvi_arena *arena = clvi_arena_create();
            clvi_fit fit;
            opts.method = (clvi_method)method;
            opts.uneven = uneven;
            assert_int_equal(clvi_form_find("depthwise")->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, NULL), CLV_OK);
            assert_true(isfinite(fit.error));
            clvi_arena_free(arena);
        }
    layer_free(&l);
}

/* Fewer samples than inputs: S is singular and nothing may break, with and without ridge. */
static void singular_statistics(void **state)
{
    (void)state;
    layer l = layer_create(shapes[0], 5);
    clvi_moments m;
    clvi_covariance_free(&l.cov[0]);
    assert_int_equal(clvi_moments_create(&m, l.q, l.n, NULL), CLV_OK);
    assert_int_equal(clvi_moments_add(&m, 20, l.x[0], l.t[0], NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(&l.cov[0], &m, NULL), CLV_OK);
    clvi_moments_free(&m);
    l.samples = 20;
    for (int method = CLVI_METHOD_SVD; method <= CLVI_METHOD_JOINT; method++)
        for (int ridge = 0; ridge < 2; ridge++)
            for (double multiplier = 1; multiplier < 9; multiplier += 3) {
                clvi_fit_opts opts = clvi_fit_opts_default();
                clvi_arena *arena = clvi_arena_create();
                opts.method = (clvi_method)method;
                opts.multiplier = multiplier;
                opts.ridge = ridge ? 1e-3 : 0;
                assert_true(isfinite(checked_fit("depthwise", &l, &opts, arena, NULL).error));
                clvi_arena_free(arena);
            }
    layer_free(&l);
}

static void without_data_it_is_the_singular_value_decomposition(void **state)
{
    (void)state;
    layer l = layer_create(shapes[2], 6);
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    const clvi_form *f = clvi_form_find("depthwise");
    opts.method = CLVI_METHOD_SVD;
    assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_OK);
    double *what = make(l.groups * l.n * l.q), error = 0, total = 0;
    assert_int_equal(clvi_chain_expand(&fit.chain, &l.conv, what, &err), CLV_OK);
    for (size_t i = 0; i < l.groups * l.n * l.q; i++) {
        error += ((double)l.w[i] - what[i]) * ((double)l.w[i] - what[i]);
        total += (double)l.w[i] * (double)l.w[i];
    }
    assert_true(fabs(fit.error - error / total) < 1e-12);
    assert_true(fit.error > 0.1 && fit.error < 0.9);
    const clvi_conv *pw = &fit.chain.link[1];
    assert_int_equal(fit.chain.link[0].sh, 2); /* geometry stays with the depthwise link */
    assert_int_equal(fit.chain.link[0].pl, 2);
    assert_int_equal(pw->groups, 2);
    assert_memory_equal(pw->bias, l.bias, l.groups * l.n * sizeof(float));
    opts.method = CLVI_METHOD_GSVD;
    assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_ERR_ARG);
    clvi_free(what);
    clvi_arena_free(arena);
    layer_free(&l);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    layer l = layer_create(shapes[0], 7);
    const clvi_form *f = clvi_form_find("depthwise");
    const double bad[] = {0, -1, (double)NAN, HUGE_VAL, 1.5};
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    clvi_fit_opts opts = clvi_fit_opts_default();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        opts.multiplier = bad[i];
        assert_int_equal(f->macs(&l.conv, &opts), 0);
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    }
    opts = clvi_fit_opts_default();
    opts.ridge = (double)NAN;
    assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    opts = clvi_fit_opts_default();
    clvi_conv odd = l.conv;
    odd.groups = 4; /* 6 inputs */
    assert_int_equal(f->fit(&fit, &odd, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    odd = l.conv;
    odd.c = 3;
    assert_int_equal(f->fit(&fit, &odd, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "statistics of 54 inputs"));
    odd = l.conv;
    odd.o = INT64_MAX / 2;
    assert_int_equal(f->fit(&fit, &odd, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
    clvi_arena_free(arena);
    layer_free(&l);
}

static void not_finite_numbers_are_refused(void **state)
{
    (void)state;
    layer l = layer_create(shapes[0], 8);
    const clvi_form *f = clvi_form_find("depthwise");
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    for (int method = CLVI_METHOD_SVD; method <= CLVI_METHOD_JOINT; method++) {
        clvi_fit_opts opts = clvi_fit_opts_default();
        opts.method = (clvi_method)method;
        const float kept = l.w[5];
        l.w[5] = NAN;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
        l.w[5] = INFINITY;
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err),
                         method == CLVI_METHOD_SVD ? CLV_ERR_NUMERIC : CLV_ERR_ARG);
        l.w[5] = kept;
        l.cov[0].s[7] = (double)NAN;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
        l.cov[0].s[7] = 0;
    }
    clvi_arena_free(arena);
    layer_free(&l);
}

static void which_convolutions_can_be_split(void **state)
{
    (void)state;
    const clvi_form *f = clvi_form_find("depthwise");
    clvi_conv v = {.o = 8, .c = 8, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    assert_null(f->refuses(&v));
    v.groups = 8;
    assert_non_null(strstr(f->refuses(&v), "depthwise already"));
    v.groups = 1;
    v.kh = v.kw = 1;
    assert_non_null(strstr(f->refuses(&v), "1x1"));
    v.kh = v.kw = 3;
    v.o = 1;
    assert_non_null(f->refuses(&v));
}

static void same_bits(const layer *l, const clvi_fit_opts *opts)
{
    clvi_fit fit[2];
    clvi_arena *arena = clvi_arena_create();
    for (int threads = 1; threads <= 2; threads++) {
        clv_context_opts co = clv_context_opts_default();
        clv_context *context;
        co.threads = threads;
        assert_int_equal(clv_context_create(&context, &co, NULL), CLV_OK);
        fit[threads - 1] = checked_fit("depthwise", l, opts, arena, context);
        clv_context_free(context);
    }
    for (size_t i = 0; i < 2; i++) {
        const clvi_conv *a = &fit[0].chain.link[i], *b = &fit[1].chain.link[i];
        assert_memory_equal(a->w, b->w, (size_t)(a->o * (a->c / a->groups) * a->kh * a->kw) * sizeof(float));
    }
    assert_true(fit[0].error == fit[1].error);
    clvi_arena_free(arena);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const shape p = {64, 48, 1, 3, 3, 0, 0.2};
    layer l = layer_create(p, 9);
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.multiplier = 2;
    opts.max_iterations = 20;
    same_bits(&l, &opts);
    opts.uneven = true;
    same_bits(&l, &opts);
    layer_free(&l);
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    const shape p = {4, 3, 1, 2, 2, 0, 0.2};
    layer l = layer_create(p, 9);
    clvi_fit_opts opts = clvi_fit_opts_default();
    const long live = clvi_mem_live();
    int failures = 0;
    opts.uneven = true;
    opts.max_iterations = 5;
    for (long permitted = 0;; permitted++) {
        clvi_fit fit;
        clv_status st = CLV_ERR_NOMEM;
        clvi_mem_fail_after(permitted);
        clvi_arena *arena = clvi_arena_create();
        if (arena)
            st = clvi_form_find("depthwise")->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, NULL);
        clvi_mem_fail_after(-1);
        clvi_arena_free(arena);
        assert_int_equal(clvi_mem_live(), live);
        if (st == CLV_OK)
            break;
        assert_int_equal(st, CLV_ERR_NOMEM);
        failures++;
    }
    assert_true(failures > 50);
    layer_free(&l);
}

static void cancelling_stops_a_fit(void **state)
{
    (void)state;
    static volatile sig_atomic_t cancel = 1;
    layer l = layer_create(shapes[0], 9);
    clv_context_opts co = clv_context_opts_default();
    clv_context *context;
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    co.threads = 1;
    co.cancel = &cancel;
    assert_int_equal(clv_context_create(&context, &co, NULL), CLV_OK);
    assert_int_equal(clvi_form_find("depthwise")->fit(&fit, &l.conv, l.cov, &opts, arena, context, NULL),
                     CLV_ERR_INTERRUPTED);
    clv_context_free(context);
    clvi_arena_free(arena);
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joint_is_below_sweeps_is_below_their_start),
        cmocka_unit_test(full_multiplier_reproduces_the_layer),
        cmocka_unit_test(uneven_is_no_worse_than_even),
        cmocka_unit_test(uneven_moves_filters_to_where_they_matter),
        cmocka_unit_test(dead_channels_give_zeros),
        cmocka_unit_test(singular_statistics),
        cmocka_unit_test(without_data_it_is_the_singular_value_decomposition),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(not_finite_numbers_are_refused),
        cmocka_unit_test(which_convolutions_can_be_split),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(short_memory_is_a_status),
        cmocka_unit_test(cancelling_stops_a_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
