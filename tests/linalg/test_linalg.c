/* SPDX-License-Identifier: Apache-2.0 */
/* Scale-free ratios with one threshold, as LAPACK tests itself: a residual over norm * size * eps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

#define THRESHOLD 35.0

static double *numbers(size_t n)
{
    double *p = clvi_calloc(n ? n : 1, sizeof *p);
    assert_non_null(p);
    return p;
}

static double *random_matrix(size_t rows, size_t cols, uint64_t seed)
{
    clvi_rng rng;
    double *a = numbers(rows * cols);
    clvi_rng_seed(&rng, seed);
    for (size_t i = 0; i < rows * cols; i++)
        a[i] = clvi_rng_normal(&rng);
    return a;
}

static double norm(const double *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * a[i];
    return sqrt(sum);
}

/* c = op(a) op(b) by the definition. */
static void multiply(double *c, const double *a, bool ta, const double *b, bool tb, size_t m, size_t n, size_t k)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
            c[i * n + j] = sum;
        }
}

static double distance(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* |I - A A^T| / (rows eps) for a[rows, cols] */
static double orthogonality(const double *a, size_t rows, size_t cols)
{
    double *g = numbers(rows * rows);
    multiply(g, a, false, a, true, rows, rows, cols);
    for (size_t i = 0; i < rows; i++)
        g[i * rows + i] -= 1;
    const double ratio = norm(g, rows * rows) / ((double)(rows + cols) * DBL_EPSILON);
    clvi_free(g);
    return ratio;
}

static const size_t sizes[][3] = {{1, 1, 1},    {2, 3, 4},      {7, 5, 9},      {64, 9, 9},
                                  {33, 65, 17}, {200, 130, 90}, {300, 260, 129}};
#define SIZES (sizeof sizes / sizeof *sizes)

static clvi_view stored(const double *p, size_t rows, size_t cols, bool transposed)
{
    return transposed ? clvi_transposed(clvi_view_of(p, cols, rows, rows)) : clvi_view_of(p, rows, cols, cols);
}

static void products_follow_the_definition(void **state)
{
    (void)state;
    for (size_t s = 0; s < SIZES; s++)
        for (int form = 0; form < 4; form++) {
            const size_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
            const bool ta = form & 1, tb = form & 2;
            double *a = random_matrix(m, k, 1 + s), *b = random_matrix(k, n, 100 + s), *c = random_matrix(m, n, 7);
            double *want = numbers(m * n), *before = numbers(m * n);
            memcpy(before, c, m * n * sizeof *c);
            multiply(want, a, ta, b, tb, m, n, k);
            clvi_gemm(NULL, (clvi_out){c, n}, 0.5, -2, stored(a, m, k, ta), stored(b, k, n, tb));
            for (size_t i = 0; i < m * n; i++)
                want[i] = 0.5 * before[i] - 2 * want[i];
            assert_true(distance(c, want, m * n) <=
                        THRESHOLD * DBL_EPSILON * sqrt((double)k) * norm(a, m * k) * norm(b, k * n));
            clvi_free(want);
            want = numbers(m * m);
            double *sym = numbers(m * m);
            memset(sym, 0xff, m * m * sizeof *sym); /* beta 0 overwrites NaN */
            clvi_syrk(NULL, (clvi_out){sym, m}, 0, 1, stored(a, m, k, ta));
            multiply(want, a, ta, a, !ta, m, m, k);
            assert_true(distance(sym, want, m * m) <=
                        THRESHOLD * DBL_EPSILON * (double)k * norm(a, m * k) * norm(a, m * k));
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < m; j++)
                    assert_true(sym[i * m + j] == sym[j * m + i]);
            clvi_free(sym);
            clvi_free(want);
            clvi_free(before);
            clvi_free(a);
            clvi_free(b);
            clvi_free(c);
        }
}

static void empty_products_do_nothing_or_scale(void **state)
{
    (void)state;
    double c[4] = {1, 2, 3, 4}, none = 0;
    clvi_gemm(NULL, (clvi_out){c, 2}, 1, 1, clvi_view_of(&none, 0, 3, 3), clvi_view_of(&none, 3, 0, 1));
    assert_true(c[0] == 1);
    clvi_gemm(NULL, (clvi_out){c, 2}, 0.5, 1, clvi_view_of(&none, 2, 0, 1), clvi_view_of(&none, 0, 2, 2));
    assert_true(c[0] == 0.5 && c[3] == 2);
    clvi_gemm(NULL, (clvi_out){c, 2}, 0, 1, clvi_view_of(&none, 2, 0, 1), clvi_view_of(&none, 0, 2, 2));
    assert_true(c[0] == 0 && c[3] == 0);
    assert_int_equal(clvi_cholesky(&none, 0, 1, NULL), CLV_OK);
    assert_int_equal(clvi_eigh(&none, &none, 0, NULL), CLV_OK);
    assert_int_equal(clvi_svd(&none, 0, 3, &none, &none, &none, NULL), CLV_OK);
    assert_int_equal(clvi_gsvd(&none, &none, 0, 0, &none, &none, &none, NULL), CLV_OK);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const size_t m = 300, n = 520, k = 150;
    clvi_pool *two;
    assert_int_equal(clvi_pool_create(&two, 2, NULL), CLV_OK);
    double *a = random_matrix(m, k, 1), *b = random_matrix(k, n, 2), *c[2], *g[2], *x[2];
    for (int t = 0; t < 2; t++) {
        clvi_pool *pool = t ? two : NULL;
        c[t] = numbers(m * n);
        g[t] = numbers(m * m);
        x[t] = numbers(m * n);
        clvi_gemm(pool, (clvi_out){c[t], n}, 0, 1, clvi_view_of(a, m, k, k), clvi_view_of(b, k, n, n));
        clvi_syrk(pool, (clvi_out){g[t], m}, 0, 1, clvi_view_of(a, m, k, k));
        for (size_t i = 0; i < m; i++)
            g[t][i * m + i] += 10;
        memcpy(x[t], c[t], m * n * sizeof(double));
        double *l = numbers(m * m);
        memcpy(l, g[t], m * m * sizeof(double));
        assert_int_equal(clvi_cholesky(l, m, m, NULL), CLV_OK);
        clvi_solve_lower(pool, clvi_view_of(l, m, m, m), false, (clvi_out){x[t], n}, n);
        double *y = random_matrix(n, m, 3);
        memcpy(l, g[t], m * m * sizeof(double));
        assert_int_equal(clvi_solve_spd(pool, l, m, y, n, NULL), CLV_OK);
        memcpy(c[t], y, m * n * sizeof(double));
        clvi_free(y);
        clvi_free(l);
    }
    assert_memory_equal(c[0], c[1], m * n * sizeof(double));
    assert_memory_equal(g[0], g[1], m * m * sizeof(double));
    assert_memory_equal(x[0], x[1], m * n * sizeof(double));
    for (int t = 0; t < 2; t++) {
        clvi_free(c[t]);
        clvi_free(g[t]);
        clvi_free(x[t]);
    }
    clvi_free(a);
    clvi_free(b);
    clvi_pool_free(two);
}

/* a a^T + I, row-major */
static double *positive(size_t n, uint64_t seed)
{
    double *a = random_matrix(n, n, seed), *g = numbers(n * n);
    clvi_syrk(NULL, (clvi_out){g, n}, 0, 1, clvi_view_of(a, n, n, n));
    for (size_t i = 0; i < n; i++)
        g[i * n + i] += 1;
    clvi_free(a);
    return g;
}

static const size_t orders[] = {1, 2, 9, 25, 32, 33, 121, 200};
#define ORDERS (sizeof orders / sizeof *orders)

static void cholesky_and_its_solves(void **state)
{
    (void)state;
    for (size_t s = 0; s < ORDERS; s++) {
        const size_t n = orders[s];
        double *a = positive(n, s), *l = numbers(n * n), *back = numbers(n * n), *x = random_matrix(n, n, 9);
        double *b = numbers(n * n), *y = numbers(n * n);
        memcpy(l, a, n * n * sizeof *l);
        assert_int_equal(clvi_cholesky(l, n, n, NULL), CLV_OK);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++)
                l[i * n + j] = 0;
        multiply(back, l, false, l, true, n, n, n);
        assert_true(distance(a, back, n * n) <= THRESHOLD * norm(a, n * n) * (double)n * DBL_EPSILON);
        for (int form = 0; form < 2; form++) { /* L x and L^T x, then undone; and from the right */
            multiply(b, l, form, x, false, n, n, n);
            clvi_solve_lower(NULL, clvi_view_of(l, n, n, n), form, (clvi_out){b, n}, n);
            multiply(y, l, form, b, false, n, n, n);
            multiply(back, l, form, x, false, n, n, n);
            assert_true(distance(y, back, n * n) <=
                        THRESHOLD * norm(l, n * n) * norm(b, n * n) * (double)n * DBL_EPSILON);
            multiply(back, x, false, l, form, n, n, n);
            memcpy(b, back, n * n * sizeof *b);
            clvi_solve_lower_right(NULL, clvi_view_of(l, n, n, n), form, (clvi_out){b, n}, n);
            multiply(y, b, false, l, form, n, n, n);
            assert_true(distance(y, back, n * n) <=
                        THRESHOLD * norm(l, n * n) * norm(b, n * n) * (double)n * DBL_EPSILON);
        }
        clvi_free(a);
        clvi_free(l);
        clvi_free(back);
        clvi_free(x);
        clvi_free(b);
        clvi_free(y);
    }
}

/* Orders of one block, of whole blocks, and of a part of one more; any pool. */
static void inverse_times_the_matrix_is_one(void **state)
{
    (void)state;
    const size_t order[] = {1, 7, 256, 300, 600};
    clvi_pool *two;
    assert_int_equal(clvi_pool_create(&two, 2, NULL), CLV_OK);
    for (size_t s = 0; s < sizeof order / sizeof *order; s++) {
        const size_t n = order[s];
        double *a = positive(n, s), *one = numbers(n * n), *inverse[2];
        for (int t = 0; t < 2; t++) {
            inverse[t] = numbers(n * n);
            memcpy(inverse[t], a, n * n * sizeof *a);
            assert_int_equal(clvi_inverse_spd(t ? two : NULL, inverse[t], n, NULL), CLV_OK);
            clvi_mirror_lower(inverse[t], n, n);
        }
        assert_memory_equal(inverse[0], inverse[1], n * n * sizeof *a);
        multiply(one, inverse[0], false, a, false, n, n, n);
        for (size_t i = 0; i < n; i++)
            one[i * n + i] -= 1;
        assert_true(norm(one, n * n) <= THRESHOLD * norm(inverse[0], n * n) * norm(a, n * n) * (double)n * DBL_EPSILON);
        clvi_free(a);
        clvi_free(one);
        clvi_free(inverse[0]);
        clvi_free(inverse[1]);
    }
    double wrong[4] = {1, 0, 2, 1};
    assert_int_equal(clvi_inverse_spd(NULL, wrong, 2, NULL), CLV_ERR_NUMERIC);
    clvi_pool_free(two);
}

static void cholesky_refuses_what_is_not_positive(void **state)
{
    (void)state;
    double a[4] = {1, 2, 2, 1}, nan[4] = {1, 0, (double)NAN, 1};
    clv_error err = {0};
    assert_int_equal(clvi_cholesky(a, 2, 2, &err), CLV_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "not positive definite"));
    assert_int_equal(clvi_cholesky(nan, 2, 2, &err), CLV_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "NaN"));
}

static void eigenvectors(void **state)
{
    (void)state;
    for (size_t s = 0; s < ORDERS; s++) {
        const size_t n = orders[s];
        double *a = positive(n, 40 + s), *v = numbers(n * n), *w = numbers(n), *dv = numbers(n * n),
               *back = numbers(n * n);
        memcpy(v, a, n * n * sizeof *v);
        assert_int_equal(clvi_eigh(v, w, n, NULL), CLV_OK);
        assert_true(orthogonality(v, n, n) <= THRESHOLD);
        for (size_t i = 0; i < n; i++) {
            size_t peak = 0;
            assert_true(i == 0 || w[i - 1] >= w[i]);
            for (size_t j = 0; j < n; j++) {
                dv[i * n + j] = w[i] * v[i * n + j];
                if (fabs(v[i * n + j]) > fabs(v[i * n + peak]))
                    peak = j;
            }
            assert_true(v[i * n + peak] > 0);
        }
        multiply(back, v, true, dv, false, n, n, n);
        assert_true(distance(a, back, n * n) <= THRESHOLD * norm(a, n * n) * (double)n * DBL_EPSILON);
        clvi_free(a);
        clvi_free(v);
        clvi_free(w);
        clvi_free(dv);
        clvi_free(back);
    }
}

/* |A - U S V| <= threshold |A| max(m, n) eps, U^T U = I; checks order and sign. */
static void check_svd(const double *a, const double *u, const double *s, const double *vt, size_t m, size_t n,
                      double scale)
{
    const size_t r = m < n ? m : n;
    double *us = numbers(m * r), *back = numbers(m * n), *ut = numbers(r * m);
    for (size_t k = 0; k < r; k++) {
        size_t peak = 0;
        assert_true(s[k] >= 0 && (k == 0 || s[k - 1] >= s[k]));
        for (size_t i = 0; i < m; i++) {
            us[i * r + k] = u[i * r + k] * s[k];
            ut[k * m + i] = u[i * r + k];
            if (fabs(u[i * r + k]) > fabs(u[peak * r + k]))
                peak = i;
        }
        assert_true(u[peak * r + k] > 0);
    }
    multiply(back, us, false, vt, false, m, n, r);
    assert_true(distance(a, back, m * n) <= THRESHOLD * scale * (double)(m > n ? m : n) * DBL_EPSILON);
    assert_true(orthogonality(ut, r, m) <= THRESHOLD);
    clvi_free(us);
    clvi_free(back);
    clvi_free(ut);
}

static void singular_values(void **state)
{
    (void)state;
    for (size_t t = 0; t < SIZES; t++)
        for (int singular = 0; singular < 2; singular++) {
            const size_t m = sizes[t][0], n = sizes[t][1], r = m < n ? m : n;
            double *a = random_matrix(m, n, 70 + t), *w = numbers(m * n), *u = numbers(m * r), *s = numbers(r);
            double *vt = numbers(r * n);
            for (size_t i = 0; singular && i < m; i++) /* the last column repeats the first: rank drops */
                a[i * n + n - 1] = a[i * n];
            memcpy(w, a, m * n * sizeof *w);
            assert_int_equal(clvi_svd(w, m, n, u, s, vt, NULL), CLV_OK);
            check_svd(a, u, s, vt, m, n, norm(a, m * n));
            assert_true(orthogonality(vt, r, n) <= THRESHOLD);
            clvi_free(a);
            clvi_free(w);
            clvi_free(u);
            clvi_free(s);
            clvi_free(vt);
        }
    double bad[2] = {1, HUGE_VAL}, s1[1], u1[1], v1[2];
    assert_int_equal(clvi_svd(bad, 1, 2, u1, s1, v1, NULL), CLV_ERR_NUMERIC);
}

/* tr (w - w') g (w - w')^T of the first k terms is the sum of the dropped s^2, and v g v^T = I. */
static void generalised_singular_values(void **state)
{
    (void)state;
    for (size_t t = 0; t < SIZES; t++) {
        const size_t m = sizes[t][0], n = sizes[t][1], r = m < n ? m : n;
        double *w = random_matrix(m, n, 90 + t), *g = positive(n, t), *u = numbers(m * r), *s = numbers(r),
               *v = numbers(r * n);
        double *gv = numbers(r * n), *vgv = numbers(r * r), *rest = numbers(m * n), *rg = numbers(m * n);
        assert_int_equal(clvi_gsvd(w, g, m, n, u, s, v, NULL), CLV_OK);
        check_svd(w, u, s, v, m, n, s[0] * norm(v, r * n));
        multiply(gv, v, false, g, false, r, n, n);
        multiply(vgv, gv, false, v, true, r, r, n);
        for (size_t i = 0; i < r; i++)
            vgv[i * r + i] -= 1;
        assert_true(norm(vgv, r * r) <= THRESHOLD * (double)n * DBL_EPSILON * norm(gv, r * n) * norm(v, r * n));
        const size_t kept = r / 2;
        double dropped = 0, loss = 0;
        memcpy(rest, w, m * n * sizeof *w);
        for (size_t k = 0; k < r; k++)
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n && k < kept; j++)
                    rest[i * n + j] -= u[i * r + k] * s[k] * v[k * n + j];
        for (size_t k = kept; k < r; k++)
            dropped += s[k] * s[k];
        multiply(rg, rest, false, g, false, m, n, n);
        for (size_t i = 0; i < m * n; i++)
            loss += rg[i] * rest[i];
        assert_true(fabs(loss - dropped) <= 1e-10 * s[0] * s[0] * (double)r);
        clvi_free(w);
        clvi_free(g);
        clvi_free(u);
        clvi_free(s);
        clvi_free(v);
        clvi_free(gv);
        clvi_free(vgv);
        clvi_free(rest);
        clvi_free(rg);
    }
}

static void ridge_shrinks_to_the_prior(void **state)
{
    (void)state;
    const size_t n = 40, m = 7;
    double *s = positive(n, 5), *h = random_matrix(m, n, 6), *w = random_matrix(m, n, 7), *x = numbers(m * n);
    double *grad = numbers(m * n);
    const clvi_ridge problem = {s, h, w, m, n, 0.25};
    assert_int_equal(clvi_ridge_solve(NULL, &problem, x, NULL), CLV_OK);
    multiply(grad, x, false, s, false, m, n, n); /* x s + lambda x - h - lambda w = 0 */
    for (size_t i = 0; i < m * n; i++)
        grad[i] += 0.25 * x[i] - h[i] - 0.25 * w[i];
    assert_true(norm(grad, m * n) <= THRESHOLD * (double)n * DBL_EPSILON * norm(s, n * n) * norm(x, m * n));
    const clvi_ridge strong = {s, h, w, m, n, 1e9};
    assert_int_equal(clvi_ridge_solve(NULL, &strong, x, NULL), CLV_OK);
    assert_true(distance(x, w, m * n) < 1e-4 * norm(w, m * n));
    h[3] = (double)NAN;
    assert_int_equal(clvi_ridge_solve(NULL, &problem, x, NULL), CLV_ERR_NUMERIC);
    clvi_free(s);
    clvi_free(h);
    clvi_free(w);
    clvi_free(x);
    clvi_free(grad);
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    const size_t n = 50;
    double *s = positive(n, 5), *h = random_matrix(n, n, 6), *x = numbers(n * n), *v = numbers(n * n), *d = numbers(n);
    const clvi_ridge problem = {s, h, h, n, n, 1};
    const long live = clvi_mem_live();
    int failures = 0;
    for (long permitted = 0;; permitted++) {
        double *copy = random_matrix(n, n, 3);
        clvi_mem_fail_after(permitted);
        clv_status st = clvi_ridge_solve(NULL, &problem, x, NULL);
        if (st == CLV_OK)
            st = clvi_gsvd(h, s, n, n, x, d, v, NULL);
        if (st == CLV_OK)
            st = clvi_eigh(copy, d, n, NULL);
        clvi_mem_fail_after(-1);
        clvi_free(copy);
        assert_int_equal(clvi_mem_live(), live);
        if (st == CLV_OK)
            break;
        assert_int_equal(st, CLV_ERR_NOMEM);
        failures++;
    }
    assert_true(failures >= 5);
    clvi_free(s);
    clvi_free(h);
    clvi_free(x);
    clvi_free(v);
    clvi_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_follow_the_definition),
        cmocka_unit_test(empty_products_do_nothing_or_scale),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(cholesky_and_its_solves),
        cmocka_unit_test(inverse_times_the_matrix_is_one),
        cmocka_unit_test(cholesky_refuses_what_is_not_positive),
        cmocka_unit_test(eigenvectors),
        cmocka_unit_test(singular_values),
        cmocka_unit_test(generalised_singular_values),
        cmocka_unit_test(ridge_shrinks_to_the_prior),
        cmocka_unit_test(short_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
