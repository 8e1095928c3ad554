/* SPDX-License-Identifier: Apache-2.0 */
/* act_f32: every kind, every length, rows apart, the whole range of arguments, infinities and NaN. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/check.h"

#define MOST 600

enum { Y, SLOPE };

static double exact(const clvi_act_f32 *act, size_t j, double v)
{
    const double s = 1.0 / (1.0 + exp(-v)), h = fmin(1.0, fmax(0.0, (double)act->alpha * v + (double)act->beta));
    switch (act->kind) {
    case CLVI_ACT_SIGMOID:
        return s;
    case CLVI_ACT_SILU:
        return v * s;
    case CLVI_ACT_HARD_SIGMOID:
        return h;
    case CLVI_ACT_HARD_SWISH:
        return v * h;
    case CLVI_ACT_LEAKY:
        return v < 0 ? (double)act->alpha * v : v;
    case CLVI_ACT_PRELU:
        return v < 0 ? (double)act->slope[j] * v : v;
    default:
        return v;
    }
}

static bool good(const clvi_act_f32 *act, size_t j, float got, float x)
{
    const bool logistic = act->kind == CLVI_ACT_SIGMOID || act->kind == CLVI_ACT_SILU;
    const bool hard = act->kind == CLVI_ACT_HARD_SIGMOID || act->kind == CLVI_ACT_HARD_SWISH;
    const double want = exact(act, j, (double)x), off = fabs((double)got - want);
    if (isnan(x))
        return isnan(got);
    if (isinf(x) && logistic && x < 0) /* -Inf times 0 may be anything that is small or NaN: the reference says NaN */
        return act->kind == CLVI_ACT_SILU ? isnan(got) || fabsf(got) <= FLT_MIN || isinf(got) : fabsf(got) <= 1e-36f;
    if (isinf(x))
        return isnan(want) ? isnan(got) : (double)got == want;
    if (logistic)
        return off <= CLVK_SIGMOID_ERROR * fabs(want) + 1e-36 * (act->kind == CLVI_ACT_SILU ? 100 : 1);
    if (hard) { /* alpha v + beta is rounded twice, and the product with v once */
        const double terms = fabs((double)act->alpha * (double)x) + fabs((double)act->beta);
        const double scale = act->kind == CLVI_ACT_HARD_SWISH ? fabs((double)x) : 1.0;
        return off <= 1.5 * (double)FLT_EPSILON * (terms * scale + fabs(want)) + (double)FLT_MIN;
    }
    return off <= 0.5 * (double)FLT_EPSILON * fabs(want) + (double)FLT_MIN;
}

static bool run_case(check *c, clvi_act_f32_fn run, clvi_act_kind kind, size_t n, float scale)
{
    const bool at_end = check_random(c, 0, 1);
    const size_t rows = check_random(c, 1, 4), ld = n + (check_random(c, 0, 1) ? check_random(c, 1, 9) : 0);
    const size_t all = (rows - 1) * ld + n;
    float *y = check_buffer(Y, all, at_end), *slope = check_buffer(SLOPE, n, at_end), copy[MOST];
    const clvi_act_f32 act = {kind, 0.3f, 0.4f, slope};
    check_case(c, "kind=%d rows=%zu n=%zu ld=%zu scale=%g at_end=%d", (int)kind, rows, n, ld, (double)scale, at_end);
    check_fill(c, y, all, CHECK_UNIFORM);
    check_fill(c, slope, n, CHECK_UNIFORM);
    for (size_t i = 0; i < all; i++)
        y[i] *= scale;
    if (n > 3 && scale > 50) {
        y[check_random(c, 0, all - 1)] = NAN;
        y[check_random(c, 0, all - 1)] = INFINITY;
        y[check_random(c, 0, all - 1)] = -INFINITY;
    }
    memcpy(copy, y, all * sizeof *y);
    run(&act, y, rows, n, ld);
    for (size_t i = 0; i < all; i++) {
        const size_t j = i % ld;
        const bool same = memcmp(&y[i], &copy[i], sizeof *y) == 0;
        if (j < n ? !good(&act, j, y[i], copy[i]) : !same) {
            check_fail(c, "y[%zu] of %.9g is %.9g", i, (double)copy[i], (double)y[i]);
            return false;
        }
    }
    return check_canary(c, Y) && check_canary(c, SLOPE);
}

bool check_act(const char *name, uint64_t seed, clvi_act_f32_fn run)
{
    static const float scales[] = {1e-6f, 1.0f, 20.0f, 200.0f};
    check c;
    check_start(&c, name, seed);
    for (size_t n = 1; n <= 130; n++)
        for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
            for (int kind = CLVI_ACT_NONE; kind <= CLVI_ACT_PRELU; kind++)
                if (!run_case(&c, run, (clvi_act_kind)kind, n, scales[s]))
                    return false;
    return true;
}
