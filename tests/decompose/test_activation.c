/* SPDX-License-Identifier: Apache-2.0 */
/* The bound, its majoriser and the relaxed step of every activation, against the formulas as plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decompose/activation.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

static const float slopes[] = {0.0F, 0.25F, 1.0F, 1.5F, -0.3F, -1.0F, -2.0F, 4.0F, 0.999F};
#define CHANNELS (sizeof slopes / sizeof *slopes)

static const clvi_activation kinds[] = {
    {.kind = CLVI_ACTIVATION_NONE},
    {.kind = CLVI_ACTIVATION_RELU},
    {.kind = CLVI_ACTIVATION_CLIP, .lo = 0, .hi = 1.5},
    {.kind = CLVI_ACTIVATION_CLIP, .lo = -1, .hi = 1},
    {.kind = CLVI_ACTIVATION_CLIP, .lo = -HUGE_VAL, .hi = 0.5},
    {.kind = CLVI_ACTIVATION_CLIP, .lo = 0.3, .hi = 0.3},
    {.kind = CLVI_ACTIVATION_LEAKY, .slope = 0.1},
    {.kind = CLVI_ACTIVATION_LEAKY, .slope = 2},
    {.kind = CLVI_ACTIVATION_LEAKY, .slope = -0.5},
    {.kind = CLVI_ACTIVATION_PRELU, .slopes = slopes},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* f as ONNX defines it. */
static double plain(const clvi_activation *a, size_t channel, double z)
{
    switch (a->kind) {
    case CLVI_ACTIVATION_RELU:
        return z > 0 ? z : 0;
    case CLVI_ACTIVATION_CLIP:
        return fmin(fmax(z, a->lo), a->hi);
    case CLVI_ACTIVATION_LEAKY:
        return z >= 0 ? z : a->slope * z;
    case CLVI_ACTIVATION_PRELU:
        return z >= 0 ? z : (double)slopes[channel] * z;
    default:
        return z;
    }
}

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-13 * (1 + fabs(a) + fabs(b));
}

static void loss_is_that_of_the_plain_function(void **state)
{
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 1);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < 2000; i++) {
            const size_t channel = i % CHANNELS;
            const clvi_piece p = clvi_activation_piece(&kinds[k], channel);
            const double y = 2 * clvi_rng_normal(&rng), z = 2 * clvi_rng_normal(&rng);
            const double d = plain(&kinds[k], channel, y) - plain(&kinds[k], channel, z);
            assert_true(close_to(p.scale * clvi_piece_unit(&p, z), plain(&kinds[k], channel, z)));
            assert_true(close_to(clvi_piece_loss(&p, y, z), d * d));
        }
}

/* phi >= loss / L^2, phi(y, y) = 0, and phi(y, .) <= (. - t)^2 + const with equality at z0. */
static void bound_and_majoriser_hold(void **state)
{
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 2);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < 2000; i++) {
            const clvi_piece p = clvi_activation_piece(&kinds[k], i % CHANNELS);
            const double y = 2 * clvi_rng_normal(&rng), z0 = 2 * clvi_rng_normal(&rng);
            const double t = clvi_piece_target(&p, y, z0);
            const double constant = clvi_piece_bound(&p, y, z0) - (z0 - t) * (z0 - t);
            assert_true(clvi_piece_bound(&p, y, y) <= 1e-30);
            for (double z = -6; z <= 6; z += 0.05) {
                const double phi = clvi_piece_bound(&p, y, z);
                assert_true(phi * p.scale * p.scale >= clvi_piece_loss(&p, y, z) - 1e-12);
                assert_true(phi <= (z - t) * (z - t) + constant + 1e-12);
            }
        }
}

static void relu_is_the_target_of_the_method(void **state)
{
    const clvi_piece p = clvi_activation_piece(&kinds[1], 0);
    (void)state;
    for (double y = -2; y <= 2; y += 0.5)
        for (double z = -2; z <= 2; z += 0.5) {
            if (y == 0) /* on the knee both formulas hold */
                continue;
            assert_true(clvi_piece_target(&p, y, z) == (y > 0 ? y : fmin(z, 0)));
            assert_true(clvi_piece_bound(&p, y, z) == (y > 0 ? (y - z) * (y - z) : fmax(z, 0) * fmax(z, 0)));
        }
}

static void relaxed_step_is_the_minimum(void **state)
{
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 3);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < 500; i++) {
            const clvi_piece p = clvi_activation_piece(&kinds[k], i % CHANNELS);
            const double y = 2 * clvi_rng_normal(&rng), z0 = 2 * clvi_rng_normal(&rng), lambda = i % 2 ? 0.01 : 1;
            const double z = clvi_piece_relaxed(&p, y, z0, lambda);
            const double cost = clvi_piece_loss(&p, y, z) + lambda * (z - z0) * (z - z0);
            for (double other = -8; other <= 8; other += 0.01)
                assert_true(cost <= clvi_piece_loss(&p, y, other) + lambda * (other - z0) * (other - z0) + 1e-12);
        }
}

/* The step of Zhang et al. in their own words, for ReLU. */
static void relaxed_step_is_the_papers(void **state)
{
    const clvi_piece p = clvi_activation_piece(&kinds[1], 0);
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 4);
    for (size_t i = 0; i < 2000; i++) {
        const double y = clvi_rng_normal(&rng), w = clvi_rng_normal(&rng), lambda = i % 2 ? 0.01 : 1, r = fmax(y, 0);
        const double a = fmin(0, w), b = fmax(0, (lambda * w + r) / (lambda + 1));
        const double at_a = r * r + lambda * (a - w) * (a - w), at_b = (b - r) * (b - r) + lambda * (b - w) * (b - w);
        assert_true(close_to(clvi_piece_relaxed(&p, y, w, lambda), at_a < at_b ? a : b));
    }
}

/* Rounds of unstructured regression in float64: with t remade from z each time, the sum of phi never rises. */
enum { ROWS = 400, Q = 6, ROUNDS = 25 };

static double sum_of_bounds(const double *x, const double *y, const double *w, const clvi_activation *a, double *t)
{
    double sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < CHANNELS; i++) {
            const clvi_piece p = clvi_activation_piece(a, i);
            double z = 0;
            for (size_t j = 0; j < Q; j++)
                z += w[i * Q + j] * x[r * Q + j];
            sum += clvi_piece_bound(&p, y[r * CHANNELS + i], z);
            t[r * CHANNELS + i] = clvi_piece_target(&p, y[r * CHANNELS + i], z);
        }
    return sum;
}

static void rounds_never_raise_the_bound(void **state)
{
    static double x[ROWS * Q], y[ROWS * CHANNELS], t[ROWS * CHANNELS];
    clvi_rng rng;
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        double w[CHANNELS * Q] = {0}, s[Q * Q], before, first;
        clvi_rng_seed(&rng, 5 + k);
        for (size_t i = 0; i < (size_t)ROWS * Q; i++)
            x[i] = i % Q == 0 ? 1 : clvi_rng_normal(&rng);
        for (size_t i = 0; i < ROWS * CHANNELS; i++)
            y[i] = clvi_rng_normal(&rng) + x[i / CHANNELS * Q + 1 + i % (Q - 1)];
        first = before = sum_of_bounds(x, y, w, &kinds[k], t);
        for (int round = 0; round < ROUNDS; round++) {
            clvi_syrk(NULL, (clvi_out){s, Q}, 0, 1, clvi_transposed(clvi_view_of(x, ROWS, Q, Q)));
            clvi_gemm(NULL, (clvi_out){w, Q}, 0, 1, clvi_transposed(clvi_view_of(t, ROWS, CHANNELS, CHANNELS)),
                      clvi_view_of(x, ROWS, Q, Q));
            assert_int_equal(clvi_solve_spd(NULL, s, Q, w, CHANNELS, NULL), CLV_OK);
            const double now = sum_of_bounds(x, y, w, &kinds[k], t);
            assert_true(now <= before * (1 + 1e-12));
            before = now;
        }
        assert_true(before < first);
    }
}

static void nonsense_is_refused(void **state)
{
    clv_error err = {0};
    const float bad[] = {0.1F, NAN};
    const clvi_activation wrong[] = {
        {.kind = CLVI_ACTIVATION_CLIP, .lo = 1, .hi = 0},
        {.kind = CLVI_ACTIVATION_CLIP, .lo = (double)NAN, .hi = 0},
        {.kind = CLVI_ACTIVATION_LEAKY, .slope = (double)NAN},
        {.kind = CLVI_ACTIVATION_PRELU},
        {.kind = CLVI_ACTIVATION_PRELU, .slopes = bad},
        {.kind = (clvi_activation_kind)99},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(clvi_activation_check(&wrong[i], 2, &err), CLV_ERR_ARG);
    for (size_t i = 0; i < KINDS; i++)
        assert_int_equal(clvi_activation_check(&kinds[i], CHANNELS, &err), CLV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_that_of_the_plain_function),
        cmocka_unit_test(bound_and_majoriser_hold),
        cmocka_unit_test(relu_is_the_target_of_the_method),
        cmocka_unit_test(relaxed_step_is_the_minimum),
        cmocka_unit_test(relaxed_step_is_the_papers),
        cmocka_unit_test(rounds_never_raise_the_bound),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
