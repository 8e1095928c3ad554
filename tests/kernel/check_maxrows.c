/* SPDX-License-Identifier: Apache-2.0 */
/* maxrows_f32: exact, for every number of channels and taps, with NaN and infinities; y may be one of the rows. */
#include <math.h>
#include <string.h>

#include "kernel/check.h"

#define MAX_TAPS 10

enum { X, Y };

static bool run_case(check *c, clvi_maxrows_f32_fn run, size_t taps, size_t channels, bool into)
{
    const float *rows[MAX_TAPS];
    const bool at_end = check_random(c, 0, 1);
    const size_t n = taps * channels;
    float *x = check_buffer(X, n, at_end), *y = check_buffer(Y, channels, at_end), before[100];
    check_case(c, "taps=%zu channels=%zu into=%d at_end=%d", taps, channels, into, at_end);
    check_fill(c, x, n, (int)check_random(c, 0, CHECK_KINDS - 1));
    check_fill(c, y, channels, CHECK_UNIFORM);
    for (size_t i = 0; i < n; i++)
        if (check_random(c, 0, 30) == 0)
            x[i] = (const float[]){NAN, INFINITY, -INFINITY}[check_random(c, 0, 2)];
    memcpy(before, y, channels * sizeof *y);
    for (size_t t = 0; t < taps; t++)
        rows[t] = into && t == 0 ? y : x + t * channels;
    run(taps, rows, y, channels);
    for (size_t ch = 0; ch < channels; ch++) {
        float want = -INFINITY;
        for (size_t t = 0; t < taps; t++) {
            const float v = into && t == 0 ? before[ch] : rows[t][ch];
            want = isnan(v) || isnan(want) ? NAN : v > want ? v : want;
        }
        if (isnan(want) ? !isnan(y[ch]) : y[ch] != want) {
            check_fail(c, "y[%zu] is %.9g, must be %.9g", ch, (double)y[ch], (double)want);
            return false;
        }
    }
    return check_canary(c, X) && check_canary(c, Y);
}

bool check_maxrows(const char *name, uint64_t seed, clvi_maxrows_f32_fn run)
{
    check c;
    check_start(&c, name, seed);
    for (size_t channels = 1; channels <= 70; channels++)
        for (size_t taps = 0; taps <= MAX_TAPS; taps++)
            for (int into = 0; into < 2; into++)
                if (!run_case(&c, run, taps, channels, into && taps > 0))
                    return false;
    return true;
}
