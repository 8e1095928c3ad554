/* SPDX-License-Identifier: Apache-2.0 */
/* The spatial, Tucker-2 and output-side depthwise forms, and the fit behind the first two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/fixture.h"
#include "decompose/kronfit.h"

static const char *const names[] = {"spatial", "tucker2", "output-depthwise"};
#define NAMES (sizeof names / sizeof *names)

static double error_of(const char *form, const layer *l, clvi_method method, int64_t size)
{
    clvi_fit_opts opts = clvi_fit_opts_default();
    clvi_arena *arena = clvi_arena_create();
    opts.method = method;
    opts.size = size;
    const clvi_fit fit = checked_fit(form, l, &opts, arena, NULL);
    const clvi_conv *last = &fit.chain.link[fit.chain.n - 1];
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    for (size_t i = 0; i < fit.chain.n; i++) {
        top += fit.chain.link[i].pt;
        left += fit.chain.link[i].pl;
        bottom += fit.chain.link[i].pb;
        right += fit.chain.link[i].pr;
        assert_true(fit.chain.link[i].bias == NULL || &fit.chain.link[i] == last);
    }
    assert_true(top == l->conv.pt && left == l->conv.pl && bottom == l->conv.pb && right == l->conv.pr);
    clvi_arena_free(arena);
    return fit.error;
}

/* The smallest size at which a form is exact. */
static int64_t full_size(const char *form, const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups, k = v->kh * v->kw;
    int64_t left = c * k, right = n, times = v->groups;
    if (form == names[0]) {
        left = c * v->kh;
        right = n * v->kw;
    } else if (form == names[2]) {
        left = c;
        right = k;
        times = 1;
    }
    return (left < right ? left : right) * times;
}

static void errors_shrink_with_size_to_nothing(void **state)
{
    (void)state;
    for (size_t f = 0; f < NAMES; f++)
        for (size_t s = 0; s < SHAPES; s++) {
            layer l = layer_create(shapes[s], 60 + s);
            const int64_t most = full_size(names[f], &l.conv), step = f == 2 ? 1 : l.conv.groups;
            double last = 1, weights = 1;
            for (int64_t size = step; size <= most; size += step) {
                const double error = error_of(names[f], &l, CLVI_METHOD_JOINT, size);
                const double blind = error_of(names[f], &l, CLVI_METHOD_SVD, size);
                if (error > last + 1e-6)
                    fail_msg("%s, shape %zu, size %d: error %.9f after %.9f", names[f], s, (int)size, error, last);
                assert_true(error <= blind + 1e-5);
                last = error;
                weights = blind;
            }
            if (shapes[s].drift == 0 && !(last < 1e-6 && weights < 1e-6))
                fail_msg("%s, shape %zu: error %g, without data %g", names[f], s, last, weights);
            layer_free(&l);
        }
}

/* The target's moments again, for the weights that l has now. */
static void refresh(layer *l)
{
    clvi_rng rng;
    clvi_moments m;
    clvi_rng_seed(&rng, 8);
    fill_target(l, 0, l->cov[0].h, 0, &rng);
    clvi_covariance_free(l->cov);
    assert_int_equal(clvi_moments_create(&m, l->q, l->n, NULL), CLV_OK);
    assert_int_equal(clvi_moments_add(&m, l->samples, l->x[0], l->t[0], NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(l->cov, &m, NULL), CLV_OK);
    clvi_moments_free(&m);
}

/* A layer that has a form is found to have it, and one channel less is felt. */
static void planted_layers_are_recovered(void **state)
{
    (void)state;
    const shape p = {10, 10, 1, 3, 3, 0, 0};
    for (size_t f = 0; f < NAMES; f++) {
        layer l = layer_create(p, 3);
        clvi_rng rng;
        double *a = make(10 * 90), *b = make(10 * 90), *core = make(900);
        clvi_rng_seed(&rng, 17);
        for (size_t i = 0; i < 900; i++) {
            a[i] = clvi_rng_normal(&rng);
            b[i] = clvi_rng_normal(&rng);
            core[i] = clvi_rng_normal(&rng);
        }
        for (size_t j = 0; j < 900; j++) {
            const size_t o = j / 90, i = j / 9 % 10, y = j / 3 % 3, x = j % 3, t = j % 9;
            double w = 0;
            for (size_t r = 0; r < 3; r++)
                if (f == 0)
                    w += a[(r * 10 + i) * 3 + y] * b[(r * 10 + o) * 3 + x];
                else if (f == 2)
                    w += r < 2 ? a[(o * 2 + r) * 10 + i] * b[(o * 2 + r) * 9 + t] : 0;
                else
                    for (size_t u = 0; u < 3; u++)
                        w += a[r * 10 + i] * b[u * 10 + o] * core[(r * 3 + u) * 9 + t];
            l.w[j] = (float)w;
        }
        refresh(&l);
        const int64_t size = f == 2 ? 2 : 3;
        const double found = error_of(names[f], &l, CLVI_METHOD_JOINT, size);
        if (found > 1e-5)
            fail_msg("%s: error %g", names[f], found);
        assert_true(error_of(names[f], &l, CLVI_METHOD_JOINT, size - 1) > 1e-3);
        clvi_free(a);
        clvi_free(b);
        clvi_free(core);
        layer_free(&l);
    }
}

static void sizes_and_costs(void **state)
{
    (void)state;
    clvi_conv v = {.o = 48, .c = 32, .groups = 1, .kh = 3, .kw = 5, .sh = 2, .sw = 3, .dh = 1, .dw = 1};
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.size = 12; /* Tucker-2: r1 = 32 * 12 / 48 = 8 */
    assert_int_equal(clvi_form_find("spatial")->macs(&v, &opts), 12 * (3 * 32 * 3 + 5 * 48));
    assert_int_equal(clvi_form_find("tucker2")->macs(&v, &opts), 6 * 32 * 8 + 15 * 8 * 12 + 12 * 48);
    opts.size = 13; /* rounded up */
    assert_int_equal(clvi_form_find("tucker2")->macs(&v, &opts), 6 * 32 * 9 + 15 * 9 * 13 + 13 * 48);
    opts.size = 2;
    assert_int_equal(clvi_form_find("output-depthwise")->macs(&v, &opts), 6 * 32 * 96 + 15 * 96);
    for (size_t f = 0; f < NAMES; f++) {
        const clvi_form *form = clvi_form_find(names[f]);
        opts.size = full_size(names[f], &v);
        assert_true(form->macs(&v, &opts) > 0);
        opts.size++;
        assert_int_equal(form->macs(&v, &opts), 0);
        opts.size = -1;
        assert_int_equal(form->macs(&v, &opts), 0);
    }
    v = (clvi_conv){.o = 64, .c = 64, .groups = 2, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    opts.size = 3; /* not the same number in each group */
    assert_int_equal(clvi_form_find("spatial")->macs(&v, &opts), 0);
    assert_int_equal(clvi_form_find("tucker2")->macs(&v, &opts), 0);
    v.groups = 1;
    opts.size = 0; /* from the multiplier, at equal cost */
    for (opts.multiplier = 1; opts.multiplier <= 4; opts.multiplier++)
        for (size_t f = 0; f < NAMES; f++) {
            const int64_t macs = clvi_form_find(names[f])->macs(&v, &opts);
            const int64_t limit = clvi_form_find("depthwise")->macs(&v, &opts);
            assert_true(macs <= limit && macs > limit - 900);
        }
}

static void refusals_and_bad_input(void **state)
{
    (void)state;
    layer l = layer_create(shapes[0], 7);
    clvi_arena *arena = clvi_arena_create();
    clvi_fit fit;
    clv_error err = {0};
    for (size_t i = 0; i < NAMES; i++) {
        const clvi_form *f = clvi_form_find(names[i]);
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_conv other = l.conv;
        opts.size = 1;
        assert_null(f->refuses(&l.conv));
        other.kh = other.kw = 1;
        assert_non_null(f->refuses(&other));
        other.kh = 9;
        assert_true((f->refuses(&other) == NULL) == (i > 0));
        other.kh = 1;
        other.kw = 9;
        assert_true((f->refuses(&other) == NULL) == (i > 0));
        other = l.conv; /* depthwise */
        other.o = other.c = other.groups = 6;
        assert_true((f->refuses(&other) == NULL) == (i == 0));
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.method = CLVI_METHOD_SVD;
        assert_int_equal(f->fit(&fit, &l.conv, NULL, &opts, arena, NULL, &err), CLV_OK);
        assert_true(fit.error > 0 && fit.error < 1);
        opts = clvi_fit_opts_default();
        opts.size = 1000;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
        opts.size = 1;
        l.w[0] = NAN;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
        l.w[0] = 1;
        l.cov[0].s[1] = HUGE_VAL;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_NUMERIC);
        l.cov[0].s[1] = l.cov[0].s[l.q];
    }
    clvi_arena_free(arena);
    layer_free(&l);
}

/* Memory that held NaN before gives the same fit: nothing is read before it is written. */
static void old_memory_has_no_effect(void **state)
{
    (void)state;
    const shape p = {6, 8, 1, 3, 3, 0, 0.2};
    layer l = layer_create(p, 9);
    for (size_t f = 0; f < NAMES; f++) {
        const int64_t size = f == 2 ? 2 : 4;
        const double error = error_of(names[f], &l, CLVI_METHOD_JOINT, size);
        double *old[4];
        for (size_t bytes = 64; bytes <= 65536; bytes += 16) {
            for (size_t i = 0; i < 4; i++) {
                old[i] = clvi_alloc_array(bytes, 1);
                assert_non_null(old[i]);
                for (size_t j = 0; j < bytes / sizeof(double); j++)
                    old[i][j] = (double)NAN;
            }
            for (size_t i = 0; i < 4; i++)
                clvi_free(old[i]);
        }
        assert_true(error_of(names[f], &l, CLVI_METHOD_JOINT, size) == error);
    }
    layer_free(&l);
}

static void threads_and_memory(void **state)
{
    (void)state;
    const shape p = {40, 32, 1, 3, 3, 0, 0.2}, small = {3, 2, 1, 2, 2, 0, 0};
    layer big = layer_create(p, 9), l = layer_create(small, 9);
    clvi_fit_opts opts = clvi_fit_opts_default();
    opts.max_iterations = 5;
    for (size_t i = 0; i < NAMES; i++) {
        double error[2];
        opts.size = i == 2 ? 2 : 12;
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
    opts.size = 1;
    opts.max_iterations = 3;
    const long live = clvi_mem_live();
    for (size_t i = 0; i < NAMES; i++)
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

/* Running out of memory inside the eigenproblem of a limited rank, which an objective cannot return. */
static void a_failed_eigenproblem_is_reported(void **state)
{
    (void)state;
    const shape p = {40, 4, 1, 3, 3, 0, 0}; /* LAPACK's workspace is on the stack up to order 32 */
    layer l = layer_create(p, 2);
    clvi_group g;
    clvi_kron k;
    double *v = make(2 * 4), *pt = make(9 * 2 * 40);
    clvi_fit_opts opts = clvi_fit_opts_default();
    int iterations = 0;
    opts.max_iterations = 3;
    assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, 1e-3, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_kron_create(&k, &g, true, 9, 2, NULL), CLV_OK);
    const long live = clvi_mem_live();
    for (long permitted = 0;; permitted++) {
        clvi_mem_fail_after(permitted);
        const clv_status st = clvi_kron_solve(&k, 3, &opts, NULL, v, pt, &iterations, NULL, NULL);
        clvi_mem_fail_after(-1);
        assert_int_equal(clvi_mem_live(), live);
        if (st == CLV_OK)
            break;
        assert_int_equal(st, CLV_ERR_NOMEM);
    }
    clvi_kron_free(&k);
    clvi_group_free(&g);
    clvi_free(v);
    clvi_free(pt);
    layer_free(&l);
}

/* The gradient of f(V), with P free and with P of limited rank, by central differences. */
static void the_gradient_is_that_of_the_objective(void **state)
{
    (void)state;
    const shape p = {7, 5, 1, 3, 3, 0, 0.3};
    layer l = layer_create(p, 4);
    clvi_group g;
    assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, 1e-3, NULL, NULL), CLV_OK);
    for (size_t blocks = 3; blocks <= 9; blocks += 6)
        for (size_t rank = 0; rank <= 3; rank += 3) {
            clvi_kron k;
            clvi_varpro *varpro;
            clvi_rng rng;
            assert_int_equal(clvi_kron_create(&k, &g, true, blocks, 2, NULL), CLV_OK);
            const clvi_structure structure = clvi_kron_structure(&k);
            assert_int_equal(clvi_varpro_create(&varpro, &structure, blocks * 2, k.q, k.n, k.total, NULL, NULL),
                             CLV_OK);
            if (rank)
                assert_int_equal(clvi_varpro_limit_rank(varpro, rank, NULL), CLV_OK);
            double *v = make(structure.params), *grad = make(structure.params), *other = make(structure.params);
            clvi_rng_seed(&rng, 1);
            for (size_t i = 0; i < structure.params; i++)
                v[i] = clvi_rng_normal(&rng);
            assert_true(isfinite(clvi_varpro_evaluate(varpro, v, grad)));
            for (size_t i = 0; i < structure.params; i++) {
                const double at = v[i], h = 1e-5;
                v[i] = at + h;
                const double above = clvi_varpro_evaluate(varpro, v, other);
                v[i] = at - h;
                const double below = clvi_varpro_evaluate(varpro, v, other);
                v[i] = at;
                assert_true(fabs((above - below) / (2 * h) - grad[i]) < 1e-7);
            }
            clvi_free(v);
            clvi_free(grad);
            clvi_free(other);
            clvi_varpro_free(varpro);
            clvi_kron_free(&k);
        }
    clvi_group_free(&g);
    layer_free(&l);
}

/* What the fit finds is below the truncated SVD it starts from, and not above what random starts find. */
static void the_optimum_is_a_good_one(void **state)
{
    (void)state;
    const shape p = {16, 16, 1, 3, 3, 0, 0.1};
    layer l = layer_create(p, 6);
    clvi_group g;
    assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, 1e-3, NULL, NULL), CLV_OK);
    for (size_t rank = 0; rank <= 5; rank += 5) {
        const size_t blocks = rank ? 9 : 3, r = 5;
        const clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_lbfgs_opts solver = clvi_lbfgs_opts_default();
        solver.max_iterations = 500;
        solver.f_target = 1e-12;
        clvi_lbfgs_result result;
        clvi_kron k;
        clvi_varpro *varpro;
        clvi_rng rng;
        int iterations = 0;
        assert_int_equal(clvi_kron_create(&k, &g, true, blocks, r, NULL), CLV_OK);
        const clvi_structure structure = clvi_kron_structure(&k);
        assert_int_equal(clvi_varpro_create(&varpro, &structure, blocks * r, k.q, k.n, k.total, NULL, NULL), CLV_OK);
        if (rank)
            assert_int_equal(clvi_varpro_limit_rank(varpro, rank, NULL), CLV_OK);
        double *v = make(structure.params), *grad = make(structure.params), *pt = make(blocks * r * k.n);
        assert_int_equal(clvi_kron_start(&k, 0, v, NULL), CLV_OK);
        const double svd = clvi_varpro_evaluate(varpro, v, grad);
        double random = 1;
        clvi_rng_seed(&rng, 2);
        for (int trial = 0; trial < 5; trial++) {
            for (size_t i = 0; i < structure.params; i++)
                v[i] = clvi_rng_normal(&rng);
            assert_int_equal(clvi_varpro_minimise(varpro, v, &solver, &result, NULL, NULL), CLV_OK);
            random = fmin(random, result.f);
        }
        assert_int_equal(clvi_kron_solve(&k, rank, &opts, NULL, v, pt, &iterations, NULL, NULL), CLV_OK);
        for (size_t a = 0; a < r; a++) { /* unit rows, out of the space: back into it */
            double row[48] = {0};
            for (size_t j = 0; j < k.d; j++)
                for (size_t i = j; i < k.d; i++)
                    row[j] += v[a * k.d + i] * k.l[i * k.d + j];
            memcpy(v + a * k.d, row, k.d * sizeof *row);
        }
        const double found = clvi_varpro_evaluate(varpro, v, grad);
        if (!(found < svd && found <= random * 1.01))
            fail_msg("rank %zu: found %.5f, truncated SVD %.5f, random starts %.5f", rank, found, svd, random);
        clvi_free(v);
        clvi_free(grad);
        clvi_free(pt);
        clvi_varpro_free(varpro);
        clvi_kron_free(&k);
    }
    clvi_group_free(&g);
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_shrink_with_size_to_nothing),
        cmocka_unit_test(planted_layers_are_recovered),
        cmocka_unit_test(sizes_and_costs),
        cmocka_unit_test(refusals_and_bad_input),
        cmocka_unit_test(old_memory_has_no_effect),
        cmocka_unit_test(threads_and_memory),
        cmocka_unit_test(a_failed_eigenproblem_is_reported),
        cmocka_unit_test(the_gradient_is_that_of_the_objective),
        cmocka_unit_test(the_optimum_is_a_good_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
