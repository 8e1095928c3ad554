/* SPDX-License-Identifier: Apache-2.0 */
/* im2col_f32: bit-equal to the formula for every start, width, stride, dilation and pad. */
#include <math.h>
#include <string.h>

#include "kernel/check.h"
#include "kernels/kernel_decls.h"

enum { X, B, WANT };

static bool run_case(check *c, clvi_im2col_f32_fn run, const clvi_im2col *p, size_t channels, size_t pixels)
{
    const bool at_end = check_random(c, 0, 1);
    const size_t rows = channels * p->kh * p->kw, k0 = check_random(c, 0, rows - 1), k = check_random(c, 0, rows - k0);
    const size_t first = check_random(c, 0, pixels - 1);
    const size_t left = pixels - first, most = left < 5 * p->nr ? left : 5 * p->nr;
    const size_t n = check_random(c, 0, 3) ? check_random(c, 1, most) : most;
    const size_t floats = (n + p->nr - 1) / p->nr * k * p->nr;
    float *x = check_buffer(X, channels * p->h * p->w, at_end), *b = check_buffer(B, floats, at_end);
    float *want = check_buffer(WANT, floats, at_end);
    check_case(
        c,
        "channels=%zu h=%zu w=%zu ow=%zu kernel=%zux%zu stride=%zux%zu dilation=%zux%zu pads=%td,%td nr=%zu k0=%zu "
        "k=%zu first=%zu n=%zu at_end=%d",
        channels, p->h, p->w, p->ow, p->kh, p->kw, p->sh, p->sw, p->dh, p->dw, p->pt, p->pl, p->nr, k0, k, first, n,
        at_end);
    check_fill(c, x, channels * p->h * p->w, CHECK_UNIFORM);
    for (size_t i = 0; i < floats; i++)
        b[i] = NAN;
    run(p, x, k0, k, first, n, b);
    clvk_im2col_f32__ref(p, x, k0, k, first, n, want);
    for (size_t i = 0; i < floats; i++) {
        if (!(b[i] == want[i])) {
            check_fail(c, "b[%zu, %zu] is %.9g, must be %.9g", i / p->nr, i % p->nr, (double)b[i], (double)want[i]);
            return false;
        }
    }
    return check_canary(c, X) && check_canary(c, B);
}

bool check_im2col(const char *name, uint64_t seed, clvi_im2col_f32_fn run)
{
    check c;
    check_start(&c, name, seed);
    for (int i = 0; i < 6000; i++) {
        clvi_im2col p = {.nr = 16 * check_random(&c, 1, 3)};
        p.h = check_random(&c, 1, 9);
        p.w = check_random(&c, 1, i % 2 ? 9 : 70);
        p.kh = check_random(&c, 1, 4);
        p.kw = check_random(&c, 1, 5);
        p.sh = check_random(&c, 1, 3);
        p.sw = check_random(&c, 1, 4);
        p.dh = check_random(&c, 1, 2);
        p.dw = check_random(&c, 1, 3);
        p.pt = (ptrdiff_t)check_random(&c, 0, 3);
        p.pl = (ptrdiff_t)check_random(&c, 0, 4);
        const size_t tall = p.h + (size_t)p.pt + check_random(&c, 0, 3),
                     wide = p.w + (size_t)p.pl + check_random(&c, 0, 4);
        const size_t reach_h = (p.kh - 1) * p.dh + 1, reach_w = (p.kw - 1) * p.dw + 1;
        if (tall < reach_h || wide < reach_w)
            continue;
        p.ow = (wide - reach_w) / p.sw + 1;
        if (!run_case(&c, run, &p, check_random(&c, 1, 5), ((tall - reach_h) / p.sh + 1) * p.ow))
            return false;
    }
    return true;
}
