/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32: both tile sizes, every number of channels, partial tiles, strides larger than what they pass over, each
 * epilogue; pixels of the input anywhere. Judged by the matrices in double. */
#include <math.h>
#include <stdio.h>

#include "kernel/check.h"
#include "kernels/winograd.h"

#define MOST CLVI_WINOGRAD_MOST
#define TAPS (MOST * MOST)

enum { FROM, TO, EXTRA }; /* EXTRA: bias, then add; when it begins behind the bad page either the one or the other */

/* sum and sum of absolute values of left[r] x left[q]^T, x: [n, n] with `step` between elements */
static void both_sides(const double *r, const double *q, size_t n, const float *const *x, size_t ch, double sum[2])
{
    sum[0] = sum[1] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const double term = r[i] * (double)x[i * n + j][ch] * q[j];
            sum[0] += r[i] == 0 || q[j] == 0 ? 0 : term;
            sum[1] += fabs(term);
        }
}

static bool check_in(check *c, const clvi_winograd *w, clvi_winograd_in_f32_fn run, size_t channels)
{
    const bool at_end = check_random(c, 0, 1), nan = check_random(c, 0, 7) == 0;
    const int kind = (int)check_random(c, 0, CHECK_KINDS - 1);
    const size_t taps = w->n * w->n, ld = channels + check_random(c, 0, 20), span = channels + check_random(c, 0, 300);
    float *const x = check_buffer(FROM, span, at_end), *const v = check_buffer(TO, (taps - 1) * ld + channels, at_end);
    const float *rows[TAPS];
    check_case(c, "in m=%zu channels=%zu ld=%zu at_end=%d data=%d nan=%d", w->m, channels, ld, at_end, kind, nan);
    check_fill(c, x, span, kind);
    if (nan)
        x[check_random(c, 0, span - 1)] = NAN;
    for (size_t t = 0; t < taps; t++)
        rows[t] = x + check_random(c, 0, span - channels);
    rows[check_random(c, 0, taps - 1)] = x + span - channels;
    for (size_t i = 0; i < (taps - 1) * ld + channels; i++)
        v[i] = i % ld < channels ? NAN : 77.0f;
    run(w->m, rows, v, ld, channels);
    for (size_t i = 0; i < (taps - 1) * ld + channels; i++) {
        const size_t p = i / ld, ch = i % ld;
        double want[2] = {77.0, 0};
        if (ch < channels)
            both_sides(w->bt[p / w->n], w->bt[p % w->n], w->n, rows, ch, want);
        const bool unknown = isnan(want[1]) && !isnan(want[0]); /* 0 times NaN: either */
        if (!unknown && !check_near(v[i], want[0], want[1], ch < channels ? 10 : 0)) {
            check_fail(c, "V[%zu][%zu] is %.9g, must be %.9g (magnitude %.3g)", p, ch, (double)v[i], want[0], want[1]);
            return false;
        }
    }
    return check_canary(c, FROM) && check_canary(c, TO);
}

typedef struct out_case {
    clvi_winograd_tile tile;
    size_t channels, all; /* floats of y */
    bool at_end, into;    /* add is y */
} out_case;

static out_case random_out(check *c, const clvi_winograd *w, size_t channels)
{
    out_case g = {.channels = channels, .at_end = check_random(c, 0, 1), .into = check_random(c, 0, 3) == 0};
    clvi_winograd_tile *const t = &g.tile;
    const bool clamp = check_random(c, 0, 2) == 0;
    t->m = w->m;
    t->rows = check_random(c, 0, 1) ? w->m : check_random(c, 1, w->m);
    t->columns = check_random(c, 0, 1) ? w->m : check_random(c, 1, w->m);
    t->products_ld = channels + check_random(c, 0, 9);
    t->y_ld = channels + check_random(c, 0, 5);
    t->y_row = t->columns * t->y_ld + check_random(c, 0, 40);
    t->add_ld = g.into ? t->y_ld : channels;
    t->add_row = g.into ? t->y_row : t->columns * channels;
    t->lo = clamp ? -0.25f : -INFINITY;
    t->hi = clamp ? 0.5f : INFINITY;
    g.all = (t->rows - 1) * t->y_row + (t->columns - 1) * t->y_ld + channels;
    return g;
}

static float before(size_t r, size_t q, size_t ch)
{
    return (float)r - 0.5f * (float)q + 0.01f * (float)ch;
}

/* Is float i of y an output, and which? */
static bool is_output(const out_case *g, size_t i, size_t *r, size_t *q, size_t *ch)
{
    const size_t in_row = i % g->tile.y_row;
    *r = i / g->tile.y_row;
    *q = in_row / g->tile.y_ld;
    *ch = in_row % g->tile.y_ld;
    return *q < g->tile.columns && *ch < g->channels;
}

static bool check_out(check *c, const clvi_winograd *w, clvi_winograd_out_f32_fn run, size_t channels)
{
    out_case g = random_out(c, w, channels);
    clvi_winograd_tile *const t = &g.tile;
    const bool bias = check_random(c, 0, 1), adds = g.into || check_random(c, 0, 1), both = g.at_end || g.into;
    const int kind = (int)check_random(c, 0, CHECK_KINDS - 1);
    const size_t taps = w->n * w->n, from = (taps - 1) * t->products_ld + channels,
                 add_n = t->rows * t->columns * channels;
    float *const x = check_buffer(FROM, from, g.at_end), *const y = check_buffer(TO, g.all, g.at_end);
    float *const extra = check_buffer(EXTRA, channels + add_n, g.at_end), *const add =
                                                                              g.at_end ? extra + channels : extra;
    const float *products[TAPS];
    size_t r, q, ch;
    t->bias = bias && (both || !adds) ? extra : NULL;
    t->add = !adds ? NULL : g.into ? y : add;
    check_case(c,
               "out m=%zu channels=%zu rows=%zu columns=%zu ld=%zu y_ld=%zu y_row=%zu bias=%d add=%d into=%d at_end=%d "
               "data=%d",
               w->m, channels, t->rows, t->columns, t->products_ld, t->y_ld, t->y_row, t->bias != NULL, adds, g.into,
               g.at_end, kind);
    check_fill(c, x, from, kind);
    check_fill(c, extra, channels + add_n, CHECK_UNIFORM);
    for (size_t p = 0; p < taps; p++)
        products[p] = x + p * t->products_ld;
    for (size_t i = 0; i < add_n && adds && !g.into; i++)
        add[i] = before(i / channels / t->columns, i / channels % t->columns, i % channels);
    for (size_t i = 0; i < g.all; i++)
        y[i] = !is_output(&g, i, &r, &q, &ch) ? 77.0f : g.into ? before(r, q, ch) : NAN;
    run(t, x, y, channels);
    for (size_t i = 0; i < g.all; i++) {
        double want[2] = {77.0, 0};
        const bool output = is_output(&g, i, &r, &q, &ch);
        if (output) {
            both_sides(w->at[r], w->at[q], w->n, products, ch, want);
            const double terms[2] = {t->bias ? (double)extra[ch] : 0, adds ? (double)before(r, q, ch) : 0};
            want[0] = fmin(fmax(want[0] + terms[0] + terms[1], (double)t->lo), (double)t->hi);
            want[1] += fabs(terms[0]) + fabs(terms[1]);
        }
        if (!check_near(y[i], want[0], want[1], output ? 14 : 0)) {
            check_fail(c, "y[%zu] is %.9g, must be %.9g (magnitude %.3g)", i, (double)y[i], want[0], want[1]);
            return false;
        }
    }
    return check_canary(c, FROM) && check_canary(c, TO) && check_canary(c, EXTRA);
}

bool check_winograd(const char *name, uint64_t seed, clvi_winograd_in_f32_fn in, clvi_winograd_out_f32_fn out)
{
    check c;
    check_start(&c, name, seed);
    for (size_t channels = 1; channels <= 70; channels++)
        for (size_t m = 2; m <= 4; m += 2)
            for (int again = 0; again < 6; again++)
                if (!check_in(&c, clvi_winograd_of(m), in, channels) ||
                    !check_out(&c, clvi_winograd_of(m), out, channels))
                    return false;
    return true;
}
