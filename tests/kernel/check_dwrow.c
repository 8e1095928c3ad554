/* SPDX-License-Identifier: Apache-2.0 */
/* dwrow_f32: rows of every width, any part of them, windows, strides, dilations, pads, missing rows, odd channels and
 * strides between pixels; then that a row cut in two has the same bits. */
#include <math.h>
#include <string.h>

#include "kernel/check.h"

#define MAX_KH 9

enum { X, K, Y, BIAS };

typedef struct row_case {
    clvi_dwrow p;
    const float *rows[MAX_KH];
    size_t first, count;
    bool bias;
} row_case;

static bool compare(check *c, const row_case *g, const float *k, const float *bias, const float *y)
{
    const clvi_dwrow *p = &g->p;
    for (size_t q = 0; q < g->count; q++) {
        for (size_t ch = 0; ch < p->channels; ch++) {
            double want = g->bias ? (double)bias[ch] : 0.0, size = fabs(want);
            for (size_t i = 0; i < p->kh; i++) {
                for (size_t j = 0; j < p->kw; j++) {
                    const ptrdiff_t at = (ptrdiff_t)((g->first + q) * p->sw + j * p->dw) - p->pl;
                    if (!g->rows[i] || at < 0 || at >= (ptrdiff_t)p->w)
                        continue;
                    const double product =
                        (double)k[(i * p->kw + j) * p->k_ld + ch] * (double)g->rows[i][(size_t)at * p->x_ld + ch];
                    want += product;
                    size += fabs(product);
                }
            }
            want = want < (double)p->lo ? (double)p->lo : want > (double)p->hi ? (double)p->hi : want;
            if (!check_near(y[q * p->y_ld + ch], want, size, p->kh * p->kw + 1)) {
                check_fail(c, "y[%zu, %zu] is %.9g, must be %.9g (magnitude %.3g)", q, ch, (double)y[q * p->y_ld + ch],
                           want, size);
                return false;
            }
        }
        for (size_t ch = p->channels; q + 1 < g->count && ch < p->y_ld; ch++) {
            if (y[q * p->y_ld + ch] != 77.0f) {
                check_fail(c, "y[%zu, %zu], behind the pixel's channels, was written", q, ch);
                return false;
            }
        }
    }
    return true;
}

static void blank(const row_case *g, float *y)
{
    for (size_t q = 0; q < g->count; q++)
        for (size_t ch = 0; ch < (q + 1 < g->count ? g->p.y_ld : g->p.channels); ch++)
            y[q * g->p.y_ld + ch] = ch < g->p.channels ? NAN : 77.0f;
}

static bool run_case(check *c, clvi_dwrow_f32_fn run, row_case *g, int kind, bool nan)
{
    const clvi_dwrow *p = &g->p;
    const bool at_end = check_random(c, 0, 1);
    const size_t row = (p->w - 1) * p->x_ld + p->channels, taps = p->kh * p->kw;
    const size_t n_x = p->kh * row, n_y = (g->count - 1) * p->y_ld + p->channels,
                 n_k = (taps - 1) * p->k_ld + p->channels;
    float *x = check_buffer(X, n_x, at_end), *k = check_buffer(K, n_k, at_end), *y = check_buffer(Y, n_y, at_end);
    float *bias = check_buffer(BIAS, p->channels, at_end), whole[64];
    check_case(
        c,
        "channels=%zu w=%zu first=%zu count=%zu kernel=%zux%zu stride=%zu dilation=%zu pad=%td ld=%zu,%zu,%zu bias=%d "
        "at_end=%d data=%d nan=%d",
        p->channels, p->w, g->first, g->count, p->kh, p->kw, p->sw, p->dw, p->pl, p->x_ld, p->y_ld, p->k_ld, g->bias,
        at_end, kind, nan);
    check_fill(c, x, n_x, kind);
    check_fill(c, k, n_k, kind);
    check_fill(c, bias, p->channels, CHECK_UNIFORM);
    if (nan)
        x[check_random(c, 0, n_x - 1)] = NAN;
    for (size_t i = 0; i < p->kh; i++)
        g->rows[i] = check_random(c, 0, 4) ? x + (at_end ? p->kh - 1 - i : i) * row : NULL;
    blank(g, y);
    run(p, g->rows, k, g->bias ? bias : NULL, y, g->first, g->count);
    if (!compare(c, g, k, bias, y) || !check_canary(c, X) || !check_canary(c, K) || !check_canary(c, Y) ||
        !check_canary(c, BIAS))
        return false;
    const size_t cut = check_random(c, 0, g->count), n_whole = n_y < 64 ? n_y : 64;
    memcpy(whole, y, n_whole * sizeof *y);
    run(p, g->rows, k, g->bias ? bias : NULL, y, g->first, cut);
    run(p, g->rows, k, g->bias ? bias : NULL, y + cut * p->y_ld, g->first + cut, g->count - cut);
    if (memcmp(whole, y, n_whole * sizeof *y) != 0 && !nan) {
        check_fail(c, "cut after %zu pixels the row has other bits", cut);
        return false;
    }
    return true;
}

static bool random_row(check *c, row_case *g, size_t w, size_t window)
{
    static const size_t windows[][2] = {{3, 3}, {5, 5}, {1, 1}, {1, 7}, {7, 1}, {2, 4}, {9, 9}, {3, 5}};
    clvi_dwrow *p = &g->p;
    p->kh = windows[window][0];
    p->kw = windows[window][1];
    p->w = w;
    p->channels = check_random(c, 1, check_random(c, 0, 3) ? 40 : 140);
    p->sw = check_random(c, 1, 2 + (check_random(c, 0, 5) == 0));
    p->dw = check_random(c, 0, 3) ? 1 : check_random(c, 2, 3);
    p->pl = (ptrdiff_t)check_random(c, 0, p->kw);
    p->x_ld = p->channels + (check_random(c, 0, 2) ? 0 : check_random(c, 1, 9));
    p->y_ld = p->channels + (check_random(c, 0, 2) ? 0 : check_random(c, 1, 9));
    p->k_ld = p->channels + (check_random(c, 0, 2) ? 0 : check_random(c, 1, 9));
    const bool clamp = check_random(c, 0, 3) == 0;
    p->lo = clamp ? -0.25f : -INFINITY;
    p->hi = clamp ? 0.5f : INFINITY;
    g->bias = check_random(c, 0, 3) != 0;
    const size_t span = w + (size_t)p->pl + check_random(c, 0, p->kw), reach = (p->kw - 1) * p->dw + 1;
    if (span < reach)
        return false;
    const size_t ow = (span - reach) / p->sw + 1;
    g->first = check_random(c, 0, ow - 1);
    g->count = check_random(c, 1, ow - g->first);
    return true;
}

bool check_dwrow(const char *name, uint64_t seed, clvi_dwrow_f32_fn run)
{
    check c;
    check_start(&c, name, seed);
    for (size_t window = 0; window < 8; window++) {
        for (size_t w = 1; w <= 33; w++) {
            for (int i = 0; i < 12; i++) {
                row_case g = {0};
                if (random_row(&c, &g, w, window) &&
                    !run_case(&c, run, &g, (int)check_random(&c, 0, CHECK_KINDS - 1), check_random(&c, 0, 7) == 0))
                    return false;
            }
        }
    }
    return true;
}
