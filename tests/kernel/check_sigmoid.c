/* SPDX-License-Identifier: Apache-2.0 */
/* sigmoid_f32: every length, in place and not, the whole range of arguments, infinities and NaN. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/check.h"

enum { X, Y };

static bool good(float got, float x, bool times_x)
{
    const double s = 1.0 / (1.0 + exp(-(double)x)), want = times_x ? (double)x * s : s;
    if (isnan(x))
        return isnan(got);
    if (isinf(x)) /* -Inf times 0 may be anything that is small or NaN: the reference says NaN */
        return times_x && x < 0 ? isnan(got) || fabsf(got) <= FLT_MIN || isinf(got)
                                : (double)got == want || got <= 1e-36f;
    return fabs((double)got - want) <= CLVK_SIGMOID_ERROR * fabs(want) + 1e-36 * (times_x ? 100 : 1);
}

static bool run_case(check *c, clvi_sigmoid_f32_fn run, size_t n, float scale, bool times_x, bool in_place)
{
    const bool at_end = check_random(c, 0, 1);
    float *x = check_buffer(X, n, at_end), *y = in_place ? x : check_buffer(Y, n, at_end), copy[200];
    check_case(c, "n=%zu scale=%g times_x=%d in_place=%d at_end=%d", n, (double)scale, times_x, in_place, at_end);
    check_fill(c, x, n, CHECK_UNIFORM);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    if (n > 3 && scale > 50) {
        x[check_random(c, 0, n - 1)] = NAN;
        x[check_random(c, 0, n - 1)] = INFINITY;
        x[check_random(c, 0, n - 1)] = -INFINITY;
    }
    memcpy(copy, x, n * sizeof *x);
    run(x, y, n, times_x);
    for (size_t i = 0; i < n; i++) {
        if (!good(y[i], copy[i], times_x)) {
            check_fail(c, "y[%zu] of %.9g is %.9g", i, (double)copy[i], (double)y[i]);
            return false;
        }
    }
    return check_canary(c, X) && (in_place || check_canary(c, Y));
}

bool check_sigmoid(const char *name, uint64_t seed, clvi_sigmoid_f32_fn run)
{
    static const float scales[] = {1e-6f, 1.0f, 20.0f, 200.0f};
    check c;
    check_start(&c, name, seed);
    for (size_t n = 1; n <= 130; n++)
        for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
            for (int variant = 0; variant < 4; variant++)
                if (!run_case(&c, run, n, scales[s], variant & 1, variant & 2))
                    return false;
    return true;
}
