/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/compare.h"

#include <math.h>

void clvi_compare_add(clvi_compare *c, const float *a, const float *b, size_t n)
{
    c->compared = c->compared || a;
    for (size_t i = 0; i < n; i++) {
        const double y = (double)b[i];
        if (a) {
            const double x = (double)a[i], d = fabs(y - x);
            const bool same = (isnan(x) && isnan(y)) || x == y;
            if (same || isfinite(d)) {
                c->diff_square += same ? 0 : d * d;
                c->max_diff = same ? c->max_diff : fmax(c->max_diff, d);
            } else {
                c->max_diff = (double)INFINITY;
            }
            c->base_square += isfinite(x) ? x * x : 0;
        }
        if (!isfinite(y)) {
            c->not_finite = true;
            continue;
        }
        c->low = c->count > 0 ? fmin(c->low, y) : y;
        c->high = c->count > 0 ? fmax(c->high, y) : y;
        c->count++;
        c->sum += y;
        c->square += y * y;
    }
}

double clvi_compare_mean(const clvi_compare *c)
{
    return c->count > 0 ? c->sum / c->count : (double)NAN;
}

double clvi_compare_std(const clvi_compare *c)
{
    const double mean = clvi_compare_mean(c);
    return sqrt(fmax(0, c->square / c->count - mean * mean));
}

double clvi_compare_error(const clvi_compare *c)
{
    if (!c->compared)
        return (double)NAN;
    if (isinf(c->max_diff))
        return (double)INFINITY;
    return c->diff_square > 0 ? sqrt(c->diff_square / c->base_square) : 0;
}
