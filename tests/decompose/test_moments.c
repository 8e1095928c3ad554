/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "decompose/moments.h"

#define Q       ((size_t)37)
#define N       ((size_t)11)
#define SAMPLES ((size_t)1000)

typedef struct data {
    float x[SAMPLES * Q], t[SAMPLES * N];
} data;

/* Means far from zero, where naive sums of squares lose digits. */
static data *data_create(void)
{
    clvi_rng rng;
    data *d = clvi_alloc(sizeof *d);
    assert_non_null(d);
    clvi_rng_seed(&rng, 3);
    for (size_t i = 0; i < SAMPLES * Q; i++)
        d->x[i] = (float)(1000.0 + (double)(i % Q) + clvi_rng_normal(&rng));
    for (size_t i = 0; i < SAMPLES * N; i++)
        d->t[i] = (float)(-300.0 + clvi_rng_normal(&rng)) + d->x[i % (SAMPLES * Q)] * 0.5F;
    return d;
}

/* Two passes, in long double. */
static double direct(const float *a, size_t wa, size_t i, const float *b, size_t wb, size_t j)
{
    long double ma = 0, mb = 0, sum = 0;
    for (size_t s = 0; s < SAMPLES; s++) {
        ma += (long double)a[s * wa + i] / SAMPLES;
        mb += (long double)b[s * wb + j] / SAMPLES;
    }
    for (size_t s = 0; s < SAMPLES; s++)
        sum += ((long double)a[s * wa + i] - ma) * ((long double)b[s * wb + j] - mb) / SAMPLES;
    return (double)sum;
}

static void check(const clvi_covariance *c, const data *d)
{
    for (size_t i = 0; i < Q; i++)
        for (size_t j = 0; j < Q; j++) {
            const double scale = sqrt(direct(d->x, Q, i, d->x, Q, i) * direct(d->x, Q, j, d->x, Q, j));
            assert_true(fabs(c->s[i * Q + j] - direct(d->x, Q, i, d->x, Q, j)) <= 1e-12 * scale);
        }
    for (size_t i = 0; i < N; i++) {
        const double own = direct(d->t, N, i, d->t, N, i);
        for (size_t j = 0; j < Q; j++) {
            const double scale = sqrt(own * direct(d->x, Q, j, d->x, Q, j));
            assert_true(fabs(c->h[i * Q + j] - direct(d->t, N, i, d->x, Q, j)) <= 1e-12 * scale);
        }
        for (size_t j = 0; j < N; j++) {
            const double scale = sqrt(own * direct(d->t, N, j, d->t, N, j));
            assert_true(fabs(c->t[i * N + j] - direct(d->t, N, i, d->t, N, j)) <= 1e-12 * scale);
        }
    }
    long double mean = 0;
    for (size_t s = 0; s < SAMPLES; s++)
        mean += (long double)d->x[s * Q + 5] / SAMPLES;
    assert_true(fabs(c->mean_x[5] - (double)mean) <= 1e-12 * fabs((double)mean));
}

static void agrees_with_two_passes_however_it_is_cut(void **state)
{
    (void)state;
    data *d = data_create();
    clvi_covariance first = {0};
    const size_t cuts[] = {SAMPLES, 1, 7, 256, 300};
    for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
        clvi_moments m;
        clvi_covariance c;
        assert_int_equal(clvi_moments_create(&m, Q, N, NULL), CLV_OK);
        for (size_t s = 0; s < SAMPLES; s += cuts[k]) {
            const size_t n = SAMPLES - s < cuts[k] ? SAMPLES - s : cuts[k];
            assert_int_equal(clvi_moments_add(&m, n, d->x + s * Q, d->t + s * N, NULL), CLV_OK);
        }
        assert_int_equal(clvi_covariance_of(&c, &m, NULL), CLV_OK);
        if (k == 0) {
            check(&c, d);
            first = c;
        } else {
            assert_memory_equal(first.s, c.s, Q * Q * sizeof(double));
            assert_memory_equal(first.h, c.h, N * Q * sizeof(double));
            assert_memory_equal(first.mean_x, c.mean_x, Q * sizeof(double));
            clvi_covariance_free(&c);
        }
        clvi_moments_free(&m);
    }
    clvi_covariance_free(&first);
    clvi_free(d);
}

static void shards_merge(void **state)
{
    (void)state;
    data *d = data_create();
    const size_t at[] = {0, 600, 610, SAMPLES}; /* a shard that flushed, one that only waits, one more */
    clvi_moments all, part;
    clvi_covariance c;
    assert_int_equal(clvi_moments_create(&all, Q, N, NULL), CLV_OK);
    for (size_t k = 0; k < 3; k++) {
        assert_int_equal(clvi_moments_create(&part, Q, N, NULL), CLV_OK);
        assert_int_equal(clvi_moments_add(&part, at[k + 1] - at[k], d->x + at[k] * Q, d->t + at[k] * N, NULL), CLV_OK);
        if (k == 2)
            clvi_moments_flush(&part);
        assert_int_equal(clvi_moments_merge(&all, &part, NULL), CLV_OK);
        clvi_moments_free(&part);
    }
    assert_true(all.count + (double)all.waiting == (double)SAMPLES);
    assert_int_equal(clvi_covariance_of(&c, &all, NULL), CLV_OK);
    check(&c, d);
    clvi_covariance_free(&c);
    assert_int_equal(clvi_moments_create(&part, Q + 1, N, NULL), CLV_OK);
    assert_int_equal(clvi_moments_merge(&all, &part, NULL), CLV_ERR_ARG);
    clvi_moments_free(&part);
    clvi_moments_free(&all);
    clvi_free(d);
}

static void not_finite_samples_are_named_and_not_added(void **state)
{
    (void)state;
    data *d = data_create();
    clvi_moments m;
    clvi_covariance before, after;
    clv_error err = {0};
    assert_int_equal(clvi_moments_create(&m, Q, N, NULL), CLV_OK);
    assert_int_equal(clvi_moments_add(&m, 300, d->x, d->t, NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(&before, &m, NULL), CLV_OK);
    d->x[2 * Q + 3] = NAN;
    assert_int_equal(clvi_moments_add(&m, 300, d->x, d->t, &err), CLV_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "input 3 of sample 2 is"));
    d->t[4 * N + 1] = INFINITY;
    assert_int_equal(clvi_moments_add(&m, 100, d->x + 3 * Q, d->t + 3 * N, &err), CLV_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "target 1 of sample 1 is inf"));
    assert_int_equal(clvi_covariance_of(&after, &m, NULL), CLV_OK);
    assert_memory_equal(before.s, after.s, Q * Q * sizeof(double));
    clvi_covariance_free(&before);
    clvi_covariance_free(&after);
    clvi_moments_free(&m);
    clvi_free(d);
}

static void a_channel_that_never_varies_has_no_variance(void **state)
{
    (void)state;
    data *d = data_create();
    clvi_moments m;
    clvi_covariance c;
    for (size_t s = 0; s < SAMPLES; s++)
        d->x[s * Q] = 0.1F;
    assert_int_equal(clvi_moments_create(&m, Q, N, NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(&c, &m, NULL), CLV_ERR_ARG); /* nothing yet */
    assert_int_equal(clvi_moments_add(&m, SAMPLES, d->x, d->t, NULL), CLV_OK);
    assert_int_equal(clvi_covariance_of(&c, &m, NULL), CLV_OK);
    for (size_t j = 0; j < Q; j++)
        assert_true(fabs(c.s[j]) <= 1e-15);
    clvi_covariance_free(&c);
    clvi_moments_free(&m);
    clvi_free(d);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const size_t q = 300, n = 140, samples = 600;
    clvi_rng rng;
    clvi_pool *two;
    clvi_moments m[2];
    float *x = clvi_alloc_array(samples * q, sizeof *x), *t = clvi_alloc_array(samples * n, sizeof *t);
    clvi_rng_seed(&rng, 1);
    for (size_t i = 0; i < samples * q; i++)
        x[i] = (float)clvi_rng_normal(&rng);
    for (size_t i = 0; i < samples * n; i++)
        t[i] = (float)clvi_rng_normal(&rng);
    assert_int_equal(clvi_pool_create(&two, 2, NULL), CLV_OK);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(clvi_moments_create(&m[k], q, n, NULL), CLV_OK);
        m[k].pool = k ? two : NULL;
        assert_int_equal(clvi_moments_add(&m[k], samples, x, t, NULL), CLV_OK);
        clvi_moments_flush(&m[k]);
    }
    assert_memory_equal(m[0].xx, m[1].xx, q * q * sizeof(double));
    assert_memory_equal(m[0].tx, m[1].tx, n * q * sizeof(double));
    assert_memory_equal(m[0].tt_full, m[1].tt_full, n * n * sizeof(double));
    clvi_moments_free(&m[0]);
    clvi_moments_free(&m[1]);
    clvi_pool_free(two);
    clvi_free(x);
    clvi_free(t);
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    const long live = clvi_mem_live();
    const float x[2] = {1, 2}, t[1] = {3};
    clv_error err = {0};
    clvi_moments m;
    assert_int_equal(clvi_moments_create(&m, 0, 1, &err), CLV_ERR_ARG);
    assert_int_equal(clvi_moments_create(&m, SIZE_MAX / 4, 1, &err), CLV_ERR_ARG);
    for (long permitted = 0;; permitted++) {
        clvi_covariance c = {0};
        clvi_mem_fail_after(permitted);
        clv_status st = clvi_moments_create(&m, 2, 1, &err);
        if (st == CLV_OK)
            st = clvi_moments_add(&m, 1, x, t, &err);
        if (st == CLV_OK)
            st = clvi_covariance_of(&c, &m, &err);
        clvi_mem_fail_after(-1);
        clvi_covariance_free(&c);
        clvi_moments_free(&m);
        assert_int_equal(clvi_mem_live(), live);
        if (st == CLV_OK)
            break;
        assert_int_equal(st, CLV_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_two_passes_however_it_is_cut),
        cmocka_unit_test(shards_merge),
        cmocka_unit_test(not_finite_samples_are_named_and_not_added),
        cmocka_unit_test(a_channel_that_never_varies_has_no_variance),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(short_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
