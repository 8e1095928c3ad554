/* SPDX-License-Identifier: Apache-2.0 */
/* L-BFGS on functions with known minima, and the gradient of variable projection against differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decompose/cpfit.h"
#include "decompose/dwjoint.h"
#include "decompose/fixture.h"

typedef struct counted {
    size_t n;
    int calls;
} counted;

static double rosenbrock(void *arg, const double *x, double *g)
{
    counted *c = arg;
    double f = 0;
    c->calls++;
    memset(g, 0, c->n * sizeof *g);
    for (size_t i = 0; i + 1 < c->n; i++) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        f += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return f;
}

/* sum i x_i^2, condition number n */
static double ellipsoid(void *arg, const double *x, double *g)
{
    counted *c = arg;
    double f = 0;
    c->calls++;
    for (size_t i = 0; i < c->n; i++) {
        f += (double)(i + 1) * x[i] * x[i];
        g[i] = 2 * (double)(i + 1) * x[i];
    }
    return f;
}

/* -log barrier: infinite outside x > 0; minimum at 1. */
static double barrier(void *arg, const double *x, double *g)
{
    counted *c = arg;
    double f = 0;
    c->calls++;
    for (size_t i = 0; i < c->n; i++) {
        if (x[i] <= 0)
            return HUGE_VAL;
        f += x[i] - log(x[i]);
        g[i] = 1 - 1 / x[i];
    }
    return f;
}

static double never(void *arg, const double *x, double *g)
{
    (void)arg;
    g[0] = x[0];
    return (double)NAN;
}

static clvi_lbfgs_opts tight(int iterations)
{
    clvi_lbfgs_opts o = clvi_lbfgs_opts_default();
    o.max_iterations = iterations;
    o.f_tolerance = 0;
    o.g_tolerance = 1e-9;
    return o;
}

static void finds_known_minima(void **state)
{
    (void)state;
    const clvi_objective functions[] = {rosenbrock, ellipsoid, barrier};
    const double starts[] = {-1.2, 3, 0.01}, minima[] = {1, 0, 1};
    const size_t sizes[] = {2, 10, 101};
    for (size_t k = 0; k < 3; k++)
        for (size_t s = 0; s < 3; s++) {
            double x[101];
            counted c = {sizes[s], 0};
            clvi_lbfgs_result r;
            const clvi_lbfgs_opts o = tight(2000);
            for (size_t i = 0; i < c.n; i++)
                x[i] = k == 0 && i % 2 ? 1 : starts[k];
            assert_int_equal(clvi_lbfgs(x, c.n, functions[k], &c, &o, &r, NULL, NULL), CLV_OK);
            for (size_t i = 0; i < c.n; i++)
                assert_true(fabs(x[i] - minima[k]) < 1e-5);
            assert_int_equal(r.evaluations, c.calls);
            assert_true(r.iterations < 1000 && r.evaluations < 2 * r.iterations + 20);
        }
}

static void never_rises_and_stops_when_told(void **state)
{
    (void)state;
    double last = HUGE_VAL;
    for (int iterations = 0; iterations < 30; iterations += 3) {
        double x[10];
        counted c = {10, 0};
        clvi_lbfgs_result r;
        const clvi_lbfgs_opts o = tight(iterations);
        for (size_t i = 0; i < 10; i++)
            x[i] = -1.2;
        assert_int_equal(clvi_lbfgs(x, 10, rosenbrock, &c, &o, &r, NULL, NULL), CLV_OK);
        assert_int_equal(r.iterations, iterations);
        assert_true(r.f <= last);
        last = r.f;
    }
}

/* M of the ellipsoid up to a factor. */
static void update_nothing(void *arg, const double *x)
{
    (void)arg;
    (void)x;
}

static void divide_ellipsoid(void *arg, double *v)
{
    const counted *c = arg;
    for (size_t i = 0; i < c->n; i++)
        v[i] /= 5 * (double)(i + 1);
}

/* With the curvature of a quadratic told up to a factor, one pair finds the factor. */
static void told_curvature_is_used(void **state)
{
    (void)state;
    double x[1000];
    counted c = {1000, 0};
    const clvi_curvature curvature = {update_nothing, divide_ellipsoid, &c};
    for (int told = 0; told < 2; told++) {
        clvi_lbfgs_result r;
        clvi_lbfgs_opts o = tight(1000);
        o.curvature = told ? &curvature : NULL;
        for (size_t i = 0; i < c.n; i++)
            x[i] = 1 + (double)(i % 3);
        assert_int_equal(clvi_lbfgs(x, c.n, ellipsoid, &c, &o, &r, NULL, NULL), CLV_OK);
        assert_true(told ? r.iterations <= 3 : r.iterations > 20);
        assert_true(r.f < 1e-15);
    }
}

static void bad_starts_and_short_memory(void **state)
{
    (void)state;
    double x[2] = {-1, 2}, g = 0;
    counted c = {2, 0};
    clvi_lbfgs_result r;
    const clvi_lbfgs_opts o = clvi_lbfgs_opts_default();
    assert_int_equal(clvi_lbfgs(x, 2, barrier, &c, &o, &r, NULL, NULL), CLV_ERR_NUMERIC);
    assert_int_equal(clvi_lbfgs(&g, 1, never, &c, &o, &r, NULL, NULL), CLV_ERR_NUMERIC);
    assert_int_equal(clvi_lbfgs(&g, 0, ellipsoid, &(counted){0, 0}, &o, &r, NULL, NULL), CLV_OK);
    const long live = clvi_mem_live();
    for (long permitted = 0; permitted < 2; permitted++) {
        clvi_mem_fail_after(permitted);
        assert_int_equal(clvi_lbfgs(x, 2, barrier, &c, &o, &r, NULL, NULL), CLV_ERR_NOMEM);
        clvi_mem_fail_after(-1);
        assert_int_equal(clvi_mem_live(), live);
    }
}

/* The unstructured B: theta is B^T[m, q] itself. */
typedef struct dense {
    size_t m, q, n;
    double *s, *ht; /* [q, q], [q, n] */
} dense;

static void dense_project(const void *self, const double *theta, double *sbct, double *g)
{
    const dense *d = self;
    for (size_t a = 0; a < d->m; a++) {
        for (size_t j = 0; j < d->q; j++) {
            sbct[a * (d->q + d->n) + j] = 0;
            for (size_t l = 0; l < d->q; l++)
                sbct[a * (d->q + d->n) + j] += theta[a * d->q + l] * d->s[l * d->q + j];
        }
        for (size_t i = 0; i < d->n; i++) {
            sbct[a * (d->q + d->n) + d->q + i] = 0;
            for (size_t l = 0; l < d->q; l++)
                sbct[a * (d->q + d->n) + d->q + i] += theta[a * d->q + l] * d->ht[l * d->n + i];
        }
    }
    for (size_t a = 0; a < d->m; a++)
        for (size_t b = 0; b <= a; b++) {
            g[a * d->m + b] = 0;
            for (size_t j = 0; j < d->q; j++)
                g[a * d->m + b] += sbct[a * (d->q + d->n) + j] * theta[b * d->q + j];
        }
}

static void dense_pull(const void *self, const double *theta, const double *pt, const double *ptp, const double *sbct,
                       double *grad)
{
    const dense *d = self;
    (void)theta;
    for (size_t a = 0; a < d->m; a++)
        for (size_t j = 0; j < d->q; j++) {
            double sum = 0;
            for (size_t i = 0; i < d->n; i++)
                sum -= pt[a * d->n + i] * d->ht[j * d->n + i];
            for (size_t b = 0; b < d->m; b++)
                sum += ptp[a * d->m + b] * sbct[b * (d->q + d->n) + j];
            grad[a * d->q + j] = 2 * sum;
        }
}

/* Fourth-order differences against the gradient. */
static void check_gradient(clvi_varpro *v, double *theta, size_t n)
{
    double *grad = clvi_alloc_array(n, sizeof *grad), *none = clvi_alloc_array(n, sizeof *none), scale = 0;
    assert_true(clvi_varpro_evaluate(v, theta, grad) < 1);
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(grad[i]));
    assert_true(scale > 0);
    for (size_t i = 0; i < n; i++) {
        const double h = 1e-3, x = theta[i], at[4] = {x - 2 * h, x - h, x + h, x + 2 * h};
        double f[4];
        for (int k = 0; k < 4; k++) {
            theta[i] = at[k];
            f[k] = clvi_varpro_evaluate(v, theta, none);
        }
        theta[i] = x;
        const double slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
        assert_true(fabs(slope - grad[i]) <= 1e-6 * scale);
    }
    clvi_free(grad);
    clvi_free(none);
}

static void the_gradient_is_that_of_differences(void **state)
{
    (void)state;
    clvi_rng rng;
    double s[12 * 12] = {0}, ht[12 * 5], root[12 * 12], theta[4 * 12];
    dense d = {4, 12, 5, s, ht};
    const clvi_structure structure = {&d, 4 * 12, dense_project, dense_pull};
    clvi_varpro *v;
    clvi_rng_seed(&rng, 2);
    for (size_t i = 0; i < 12 * 12; i++)
        root[i] = clvi_rng_normal(&rng);
    for (size_t i = 0; i < 12; i++)
        for (size_t j = 0; j < 12; j++)
            for (size_t l = 0; l < 12; l++)
                s[i * 12 + j] += root[i * 12 + l] * root[j * 12 + l];
    for (size_t i = 0; i < 12 * 5; i++)
        ht[i] = clvi_rng_normal(&rng);
    for (size_t i = 0; i < 4 * 12; i++)
        theta[i] = clvi_rng_normal(&rng);
    assert_int_equal(clvi_varpro_create(&v, &structure, 4, 12, 5, 7.0, NULL, NULL), CLV_OK);
    check_gradient(v, theta, 4 * 12);
    clvi_varpro_free(v);
}

static void the_forms_gradients_are_those_of_differences(void **state)
{
    (void)state;
    const shape p = {7, 5, 1, 3, 2, 0, 0.3};
    const size_t filters[5] = {1, 3, 0, 2, 1};
    layer l = layer_create(p, 3);
    clvi_group g;
    clvi_dw dw;
    clvi_dw_space space;
    clvi_cp cp;
    clvi_varpro *v;
    double theta[4 * (5 + 6)];
    assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, 1e-3, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_dw_create(&dw, &g, filters, NULL), CLV_OK);
    assert_int_equal(clvi_dw_space_create(&space, &g, NULL), CLV_OK);
    const clvi_dw_blocks blocks = {&dw, &space, NULL};
    clvi_structure structure = clvi_dw_structure(&blocks);
    clvi_rng rng;
    clvi_rng_seed(&rng, 1);
    for (size_t i = 0; i < dw.total * dw.k; i++)
        dw.d[i] = clvi_rng_normal(&rng);
    assert_int_equal(clvi_varpro_create(&v, &structure, dw.total, g.q, g.n, g.total, NULL, NULL), CLV_OK);
    check_gradient(v, dw.d, structure.params);
    clvi_varpro_free(v);

    assert_int_equal(clvi_cp_create(&cp, &g, g.s, g.h, NULL), CLV_OK);
    assert_int_equal(clvi_cp_resize(&cp, 4, NULL), CLV_OK);
    structure = clvi_cp_structure(&cp);
    assert_int_equal(structure.params, 4 * (5 + 6));
    for (size_t i = 0; i < structure.params; i++)
        theta[i] = clvi_rng_normal(&rng);
    assert_int_equal(clvi_varpro_create(&v, &structure, 4, g.q, g.n, g.total, NULL, NULL), CLV_OK);
    check_gradient(v, theta, structure.params);
    clvi_varpro_free(v);
    clvi_cp_free(&cp);
    clvi_dw_space_free(&space);
    clvi_dw_free(&dw);
    clvi_group_free(&g);
    layer_free(&l);
}

/* Iterations of a bottleneck's fit lead further than as many of plain L-BFGS from the same start. */
static void the_bottlenecks_curvature_helps(void **state)
{
    (void)state;
    const shape p = {24, 20, 1, 3, 3, 0, 0.1};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        layer l = layer_create(p, seed);
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_group g;
        clvi_cp cp;
        clvi_varpro *v;
        clvi_lbfgs_result plain;
        int iterations = 0;
        assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, opts.ridge, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_cp_create(&cp, &g, g.s, g.h, NULL), CLV_OK);
        assert_int_equal(clvi_cp_resize(&cp, 12, NULL), CLV_OK);
        const clvi_structure structure = clvi_cp_structure(&cp);
        double *theta = make(structure.params), *grad = make(structure.params), *pt = make(12 * g.n);
        assert_int_equal(clvi_varpro_create(&v, &structure, 12, g.q, g.n, g.total, NULL, NULL), CLV_OK);
        opts.max_iterations = 0;
        assert_int_equal(clvi_cp_solve(&cp, 12, g.total, &opts, theta, pt, &iterations, NULL, NULL), CLV_OK);
        opts.max_iterations = 20;
        const clvi_lbfgs_opts solver = clvi_varpro_opts(&opts);
        assert_int_equal(clvi_varpro_minimise(v, theta, &solver, &plain, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_cp_solve(&cp, 12, g.total, &opts, theta, pt, &iterations, NULL, NULL), CLV_OK);
        assert_int_equal(iterations, 20);
        if (!(clvi_varpro_evaluate(v, theta, grad) < plain.f))
            fail_msg("seed %d: %.6f, plain %.6f", (int)seed, clvi_varpro_evaluate(v, theta, grad), plain.f);
        clvi_varpro_free(v);
        clvi_cp_free(&cp);
        clvi_group_free(&g);
        clvi_free(theta);
        clvi_free(grad);
        clvi_free(pt);
        layer_free(&l);
    }
}

/* The joint fit of one start is within half a percent of the best of many random ones: no bad local minimum. */
static void the_joint_fit_is_as_good_as_the_best_of_many_starts(void **state)
{
    (void)state;
    const shape p = {24, 20, 1, 3, 3, 0, 0.1};
    const clvi_form *f = clvi_form_find("depthwise");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        layer l = layer_create(p, seed);
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_lbfgs_opts many = tight(1000);
        clvi_arena *arena = clvi_arena_create();
        size_t filters[20];
        clvi_group g;
        clvi_dw dw;
        clvi_dw_space space;
        clvi_fit fit;
        double best = 1;
        double *what = make(l.n * l.q);
        clvi_rng rng;
        assert_int_equal(f->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_group_create(&g, &l.conv, 0, l.cov, opts.ridge, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_dw_space_create(&space, &g, NULL), CLV_OK);
        for (size_t i = 0; i < 20; i++)
            filters[i] = 1;
        clvi_rng_seed(&rng, seed);
        for (int start = 0; start < 12; start++) {
            int iterations = 0;
            assert_int_equal(clvi_dw_create(&dw, &g, filters, NULL), CLV_OK);
            for (size_t i = 0; i < dw.total * dw.k; i++)
                dw.d[i] = clvi_rng_normal(&rng);
            assert_int_equal(clvi_dw_joint(&dw, &space, &many, NULL, &iterations, NULL, NULL), CLV_OK);
            clvi_dw_leave(&space, &dw);
            clvi_dw_expand(&dw, what);
            best = fmin(best, clvi_error_of(l.cov, what));
            clvi_dw_free(&dw);
        }
        assert_true(fit.error <= 1.005 * best);
        clvi_free(what);
        clvi_dw_space_free(&space);
        clvi_group_free(&g);
        clvi_arena_free(arena);
        layer_free(&l);
    }
}

static void dependent_filters_do_not_break_it(void **state)
{
    (void)state;
    double s[4] = {2, 0.5, 0.5, 1}, ht[2] = {1, -1}, theta[6] = {1, 2, 2, 4, 0, 0}, grad[6];
    dense d = {3, 2, 1, s, ht};
    const clvi_structure structure = {&d, 6, dense_project, dense_pull};
    clvi_varpro *v;
    assert_int_equal(clvi_varpro_create(&v, &structure, 3, 2, 1, 1, NULL, NULL), CLV_OK);
    const double f = clvi_varpro_evaluate(v, theta, grad);
    /* the span is (1, 2): energy = (h.b)^2 / b S b = 1 / 8 */
    assert_true(fabs(f - (1 - 1.0 / 8)) < 1e-6);
    for (size_t i = 0; i < 6; i++)
        assert_true(isfinite(grad[i]));
    clvi_varpro_free(v);
    const long live = clvi_mem_live();
    for (long permitted = 0; permitted < 5; permitted++) {
        clvi_mem_fail_after(permitted);
        assert_int_equal(clvi_varpro_create(&v, &structure, 3, 2, 1, 1, NULL, NULL), CLV_ERR_NOMEM);
        clvi_mem_fail_after(-1);
        assert_null(v);
        assert_int_equal(clvi_mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_known_minima),
        cmocka_unit_test(never_rises_and_stops_when_told),
        cmocka_unit_test(told_curvature_is_used),
        cmocka_unit_test(bad_starts_and_short_memory),
        cmocka_unit_test(the_gradient_is_that_of_differences),
        cmocka_unit_test(the_forms_gradients_are_those_of_differences),
        cmocka_unit_test(the_bottlenecks_curvature_helps),
        cmocka_unit_test(the_joint_fit_is_as_good_as_the_best_of_many_starts),
        cmocka_unit_test(dependent_filters_do_not_break_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
