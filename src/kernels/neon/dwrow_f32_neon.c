/* SPDX-License-Identifier: Apache-2.0 */
/* dwrow_f32, NEON: 8 channels x up to 4 pixels of one output row.
 *
 * Pixels whose window lies inside the row are computed 4 at a time: 8 sums, up to 10 registers with a window row's
 * weights, which are loaded once for them, and with stride 1 and 2 a pixel of the input is loaded once for all of them.
 * Windows 3 and 5 wide are compiled with their size known. Others and the row's ends take one pixel at a time, 16
 * channels at once. The last channels go by 4, then by what is left. Each sum runs over (i, j) in order, so an
 * element's bits do not depend on where a row is cut.
 *
 * Reference: ref/dwrow_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define PIXELS 4
#define WIDE   4 /* vectors of channels where pixels are taken singly */

/* What every channel block of some pixels shares. */
typedef struct pixels {
    const clvi_dwrow *p;
    const float *const *x;
    const float *k, *bias;
    float *y;
    ptrdiff_t from; /* input column of the first pixel's window */
    size_t j0, j1;  /* window columns inside the row; single pixels alone */
} pixels;

/* `count` outputs, all of whose windows lie inside the row, for channels [ch, ch + n), n <= 4 vectors; kw, sw, count
 * and vectors are known when this is compiled, dw is 1. */
INLINE void inner_block(const pixels *g, size_t ch, size_t n, const size_t kw, const size_t sw, const size_t count,
                        const size_t vectors)
{
    const clvi_dwrow *const p = g->p;
    const size_t part = vectors > 1 ? LANES : n;
    float32x4_t sum[PIXELS][2], w[5][2];
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) {
        const float32x4_t start = g->bias ? load_part(g->bias + ch + v * LANES, part) : vdupq_n_f32(0.0f);
#pragma GCC unroll 4
        for (size_t s = 0; s < count; s++)
            sum[s][v] = start;
    }
    for (size_t i = 0; i < p->kh; i++) {
        if (!g->x[i])
            continue;
        const float *const row = g->x[i] + g->from * (ptrdiff_t)p->x_ld + ch;
        const float *const weights = g->k + i * kw * p->k_ld + ch;
#pragma GCC unroll 5
        for (size_t j = 0; j < kw; j++)
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++)
                w[j][v] = load_part(weights + j * p->k_ld + v * LANES, part);
#pragma GCC unroll 12
        for (size_t t = 0; t < (count - 1) * sw + kw; t++) {
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++) {
                const float32x4_t in = load_part(row + t * p->x_ld + v * LANES, part);
#pragma GCC unroll 4
                for (size_t s = 0; s < count; s++)
                    if (t >= s * sw && t - s * sw < kw)
                        sum[s][v] = vfmaq_f32(sum[s][v], w[t - s * sw][v], in);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t s = 0; s < count; s++)
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++)
            store_part(g->y + s * p->y_ld + ch + v * LANES, clamp(sum[s][v], p->lo, p->hi), part);
}

INLINE void inner(const pixels *g, const size_t kw, const size_t sw, const size_t count)
{
    const size_t channels = g->p->channels;
    size_t ch = 0;
    for (; ch + 2 * LANES <= channels; ch += 2 * LANES)
        inner_block(g, ch, LANES, kw, sw, count, 2);
    if (ch + LANES <= channels) {
        inner_block(g, ch, LANES, kw, sw, count, 1);
        ch += LANES;
    }
    if (ch < channels)
        inner_block(g, ch, channels - ch, kw, sw, count, 1);
}

/* One output, any window, channels [ch, ch + n). */
INLINE void single_block(const pixels *g, size_t ch, size_t n, const size_t vectors)
{
    const clvi_dwrow *const p = g->p;
    const size_t part = vectors > 1 ? LANES : n;
    float32x4_t sum[WIDE];
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++)
        sum[v] = g->bias ? load_part(g->bias + ch + v * LANES, part) : vdupq_n_f32(0.0f);
    for (size_t i = 0; i < p->kh; i++) {
        for (size_t j = g->j0; j < g->j1 && g->x[i]; j++) {
            const float *const at = g->x[i] + (g->from + (ptrdiff_t)(j * p->dw)) * (ptrdiff_t)p->x_ld + ch;
            const float *const w = g->k + (i * p->kw + j) * p->k_ld + ch;
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                sum[v] = vfmaq_f32(sum[v], load_part(w + v * LANES, part), load_part(at + v * LANES, part));
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++)
        store_part(g->y + ch + v * LANES, clamp(sum[v], p->lo, p->hi), part);
}

static void single(pixels *g)
{
    const clvi_dwrow *const p = g->p;
    const size_t channels = p->channels;
    size_t ch = 0;
    g->j0 = 0;
    g->j1 = p->kw;
    while (g->j0 < g->j1 && g->from + (ptrdiff_t)(g->j0 * p->dw) < 0)
        g->j0++;
    while (g->j1 > g->j0 && g->from + (ptrdiff_t)((g->j1 - 1) * p->dw) >= (ptrdiff_t)p->w)
        g->j1--;
    for (; ch + WIDE * LANES <= channels; ch += WIDE * LANES)
        single_block(g, ch, LANES, WIDE);
    for (; ch + LANES <= channels; ch += LANES)
        single_block(g, ch, LANES, 1);
    if (ch < channels)
        single_block(g, ch, channels - ch, 1);
}

INLINE void row(pixels *g, size_t first, size_t count, const size_t kw, const size_t sw)
{
    const clvi_dwrow *const p = g->p;
    const size_t end = first + count;
    size_t step;
    for (size_t q = first; q < end; q += step, g->y += step * p->y_ld) {
        g->from = (ptrdiff_t)(q * sw) - p->pl;
        const ptrdiff_t room = (ptrdiff_t)p->w - g->from - (ptrdiff_t)kw; /* columns behind the first pixel's window */
        step = 1;
        if (g->from < 0 || q + 2 > end || room < (ptrdiff_t)sw) {
            single(g);
        } else if (q + PIXELS <= end && room >= (ptrdiff_t)((PIXELS - 1) * sw)) {
            step = PIXELS;
            inner(g, kw, sw, PIXELS);
        } else {
            step = 2;
            inner(g, kw, sw, 2);
        }
    }
}

void clvk_dwrow_f32__neon(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y,
                          size_t first, size_t count)
{
    const bool dense = p->dw == 1;
    pixels g = {.p = p, .x = x, .k = k, .bias = bias, .y = y};
    if (dense && p->kw == 3 && p->sw == 1)
        row(&g, first, count, 3, 1);
    else if (dense && p->kw == 3 && p->sw == 2)
        row(&g, first, count, 3, 2);
    else if (dense && p->kw == 5 && p->sw == 1)
        row(&g, first, count, 5, 1);
    else if (dense && p->kw == 5 && p->sw == 2)
        row(&g, first, count, 5, 2);
    else
        for (size_t q = first; q < first + count; q++, g.y += p->y_ld) {
            g.from = (ptrdiff_t)(q * p->sw) - p->pl;
            single(&g);
        }
}
