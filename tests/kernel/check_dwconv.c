/* SPDX-License-Identifier: Apache-2.0 */
/* dwconv_f32: small planes of every size, windows, strides, dilations and pads; then impulse, shift and linearity. */
#include <math.h>
#include <string.h>

#include "kernel/check.h"

enum { X, K, Y, SPARE };

static size_t outputs(size_t in, ptrdiff_t begin, size_t end, size_t window, size_t stride, size_t dilation)
{
    const size_t span = in + (size_t)begin + end, reach = (window - 1) * dilation + 1;
    return span < reach ? 0 : (span - reach) / stride + 1;
}

static float at(const clvi_dwconv_plane *p, const float *x, size_t r, size_t i, size_t q, size_t j)
{
    const ptrdiff_t row = (ptrdiff_t)(r * p->sh + i * p->dh) - p->pt,
                    column = (ptrdiff_t)(q * p->sw + j * p->dw) - p->pl;
    if (row < 0 || row >= (ptrdiff_t)p->h || column < 0 || column >= (ptrdiff_t)p->w)
        return 0.0f;
    return x[(size_t)row * p->w + (size_t)column];
}

static bool compare(check *c, const clvi_dwconv_plane *p, const float *x, const float *k, const float *y)
{
    for (size_t r = 0; r < p->oh; r++) {
        for (size_t q = 0; q < p->ow; q++) {
            double want = (double)p->bias, size = fabs(want);
            for (size_t i = 0; i < p->kh; i++) {
                for (size_t j = 0; j < p->kw; j++) {
                    const double product = (double)k[i * p->kw + j] * (double)at(p, x, r, i, q, j);
                    want += product;
                    size += fabs(product);
                }
            }
            want = want < (double)p->lo ? (double)p->lo : want > (double)p->hi ? (double)p->hi : want;
            if (!check_near(y[r * p->ow + q], want, size, p->kh * p->kw + 1)) {
                check_fail(c, "y[%zu, %zu] is %.9g, must be %.9g (magnitude %.3g)", r, q, (double)y[r * p->ow + q],
                           want, size);
                return false;
            }
        }
    }
    return true;
}

static bool run_case(check *c, clvi_dwconv_f32_fn run, clvi_dwconv_plane *p, int kind, bool nan)
{
    const bool at_end = check_random(c, 0, 1);
    float *x = check_buffer(X, p->h * p->w, at_end), *k = check_buffer(K, p->kh * p->kw, at_end);
    float *y = check_buffer(Y, p->oh * p->ow, at_end);
    check_case(
        c,
        "h=%zu w=%zu oh=%zu ow=%zu kernel=%zux%zu stride=%zux%zu dilation=%zux%zu pads=%td,%td at_end=%d data=%d "
        "nan=%d",
        p->h, p->w, p->oh, p->ow, p->kh, p->kw, p->sh, p->sw, p->dh, p->dw, p->pt, p->pl, at_end, kind, nan);
    check_fill(c, x, p->h * p->w, kind);
    check_fill(c, k, p->kh * p->kw, kind);
    if (nan)
        x[check_random(c, 0, p->h * p->w - 1)] = NAN;
    for (size_t i = 0; i < p->oh * p->ow; i++)
        y[i] = NAN;
    run(p, x, k, y);
    return compare(c, p, x, k, y) && check_canary(c, X) && check_canary(c, K) && check_canary(c, Y);
}

/* false: the window does not fit the plane. */
static bool random_plane(check *c, clvi_dwconv_plane *p, size_t h, size_t w, size_t kernel)
{
    static const size_t windows[][2] = {{3, 3}, {5, 5}, {1, 1}, {1, 7}, {7, 1}, {2, 4}, {9, 9}, {3, 17}};
    p->h = h;
    p->w = w;
    p->kh = windows[kernel][0];
    p->kw = windows[kernel][1];
    p->sh = p->sw = check_random(c, 1, 2);
    if (check_random(c, 0, 3) == 0) {
        p->sh = check_random(c, 1, 3);
        p->sw = check_random(c, 1, 3);
    }
    p->dh = p->dw = 1;
    if (check_random(c, 0, 3) == 0) {
        p->dh = check_random(c, 1, 3);
        p->dw = check_random(c, 1, 3);
    }
    p->pt = (ptrdiff_t)check_random(c, 0, p->kh);
    p->pl = (ptrdiff_t)check_random(c, 0, p->kw);
    p->oh = outputs(h, p->pt, check_random(c, 0, p->kh), p->kh, p->sh, p->dh);
    p->ow = outputs(w, p->pl, check_random(c, 0, p->kw), p->kw, p->sw, p->dw);
    p->bias = check_random(c, 0, 1) ? 0.375f : 0.0f;
    const bool clamp = check_random(c, 0, 3) == 0;
    p->lo = clamp ? -0.25f : -INFINITY;
    p->hi = clamp ? 0.5f : INFINITY;
    return p->oh > 0 && p->ow > 0;
}

/* With small integers every sum is exact, so these hold bit for bit. */
static bool properties(check *c, clvi_dwconv_f32_fn run, size_t kernel)
{
    const size_t h = 20, w = 37, mid = 10 * 37 + 18;
    clvi_dwconv_plane p = {.h = h,
                           .w = w,
                           .oh = h,
                           .ow = w,
                           .kh = kernel,
                           .kw = kernel,
                           .sh = 1,
                           .sw = 1,
                           .dh = 1,
                           .dw = 1,
                           .pt = (ptrdiff_t)kernel / 2,
                           .pl = (ptrdiff_t)kernel / 2,
                           .lo = -INFINITY,
                           .hi = INFINITY};
    float *x = check_buffer(X, h * w, true), *k = check_buffer(K, kernel * kernel, true);
    float *y = check_buffer(Y, h * w, true), *z = check_buffer(SPARE, h * w, true);
    check_case(c, "properties of a %zux%zu window", kernel, kernel);
    check_fill(c, k, kernel * kernel, CHECK_INTEGERS);
    memset(x, 0, h * w * sizeof *x);
    x[mid] = 1.0f;
    run(&p, x, k, y);
    for (size_t i = 0; i < kernel; i++)
        for (size_t j = 0; j < kernel; j++)
            if (y[mid + (kernel / 2 - i) * w + kernel / 2 - j] != k[i * kernel + j])
                check_fail(c, "an impulse does not give k[%zu, %zu] back", i, j);
    check_fill(c, x, h * w, CHECK_INTEGERS);
    run(&p, x, k, y);
    memmove(x + w + 1, x, (h * w - w - 1) * sizeof *x); /* down and right by one */
    run(&p, x, k, z);
    for (size_t r = kernel; r + kernel < h; r++)
        for (size_t q = kernel; q + kernel < w; q++)
            if (z[(r + 1) * w + q + 1] != y[r * w + q])
                check_fail(c, "a shifted input does not shift y[%zu, %zu]", r, q);
    for (size_t i = 0; i < h * w; i++)
        x[i] *= 2.0f;
    run(&p, x, k, y);
    for (size_t i = 0; i < h * w; i++)
        if (y[i] != 2.0f * z[i])
            check_fail(c, "twice the input is not twice the output at %zu", i);
    return !c->failed;
}

bool check_dwconv(const char *name, uint64_t seed, clvi_dwconv_f32_fn run)
{
    clvi_dwconv_plane p;
    check c;
    check_start(&c, name, seed);
    for (size_t kernel = 0; kernel < 8; kernel++) {
        for (size_t w = 1; w <= 67; w++) {
            for (int i = 0; i < 6; i++) {
                const size_t h = check_random(&c, 1, 13);
                if (random_plane(&c, &p, h, w, kernel) &&
                    !run_case(&c, run, &p, (int)check_random(&c, 0, CHECK_KINDS - 1), check_random(&c, 0, 7) == 0))
                    return false;
            }
        }
    }
    return properties(&c, run, 3) && properties(&c, run, 5) && properties(&c, run, 7);
}
