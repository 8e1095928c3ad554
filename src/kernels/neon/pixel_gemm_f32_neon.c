/* SPDX-License-Identifier: Apache-2.0 */
/* pixel_gemm_f32, NEON: tiles of up to 6 pixels x 16 channels.
 *
 * A full tile keeps 24 sums in v registers and 6 row pointers in general ones; 4 more hold a row of B and up to 3
 * elements of A: 10 loads for 24 multiply-adds. (4 channels of each of the 6 pixels in registers, taken lane by lane,
 * are 22 loads for 96, but gcc 12 then spills sums.) Every m has its own code, so rows may be cut into equal tiles.
 * Each sum runs over (tap, k) in order with one fused multiply-add a step: an element's bits do not depend on the tile
 * it is computed in.
 *
 * Reference: ref/pixel_gemm_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define MR 6
#define NR 16

/* Columns [4v, 4v + 4) of pixel i, as far as they are below n; c is the pixel's first column. */
INLINE void finish(float32x4_t sum, float *c, size_t n, size_t i, size_t v, const clvi_pixel_tile *tile)
{
    const size_t at = v * LANES, left = n - at;
    if (tile->add)
        sum = vaddq_f32(sum, load_part(tile->add + i * tile->add_ld + at, left));
    store_part(c + at, clamp(sum, tile->lo, tile->hi), left);
}

/* The same of a tile that does not fill its columns: sum[m][4], of which the vectors below n count. */
static void finish_parts(const float32x4_t *sum, float *c, size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile)
{
    for (size_t i = 0; i < m; i++)
        for (size_t v = 0; v * LANES < n; v++)
            finish(sum[i * 4 + v], c + i * ldc, n, i, v, tile);
}

/* m rows and `vectors` x 4 columns, both known when this is compiled. */
INLINE void run(size_t taps, size_t depth, const float *const *rows, const float *b, float *c, size_t ldc, size_t n,
                const clvi_pixel_tile *tile, const size_t m, const size_t vectors)
{
    float32x4_t sum[MR][4];
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; v++) {
        const bool some = tile->bias && v < vectors && v * LANES < n;
        sum[0][v] = some ? load_part(tile->bias + v * LANES, n - v * LANES) : vdupq_n_f32(0.0f);
#pragma GCC unroll 6
        for (size_t i = 1; i < m; i++)
            sum[i][v] = sum[0][v];
    }
    const char *next = tile->next ? tile->next : (const char *)b;
    const size_t next_step = tile->next ? tile->next_step : 0;
    for (size_t t = 0; t < taps; t++, rows += MR) {
        const float *a[MR];
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++)
            a[i] = rows[i];
        for (size_t k = 0; k < depth; k++, b += NR, next += next_step) {
            __builtin_prefetch(next, 0, 2);
            float32x4_t bv[4];
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                bv[v] = vld1q_f32(b + v * LANES);
#pragma GCC unroll 6
            for (size_t i = 0; i < m; i++) {
                if (i == MR / 2)
                    __asm__ volatile("" : : : "memory"); /* else gcc loads all of A first and spills sums */
                const float ai = a[i][k];
#pragma GCC unroll 4
                for (size_t v = 0; v < vectors; v++)
                    sum[i][v] = vfmaq_n_f32(sum[i][v], bv[v], ai);
            }
        }
    }
    if (n == vectors * LANES) {
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                finish(sum[i][v], c + i * ldc, vectors * LANES, i, v, tile);
        return;
    }
    float32x4_t parts[MR][4];
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            parts[i][v] = sum[i][v];
    finish_parts(&parts[0][0], c, ldc, m, n, tile);
}

void clvk_pixel_gemm_f32_6x16__neon(size_t taps, size_t depth, const float *const *rows, const float *b, float *c,
                                    size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(count)                                               \
    case count:                                                   \
        if (n > 8)                                                \
            run(taps, depth, rows, b, c, ldc, n, tile, count, 4); \
        else                                                      \
            run(taps, depth, rows, b, c, ldc, n, tile, count, 2); \
        break;
    switch (m) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
        ROWS(6)
    default:
        break;
    }
#undef ROWS
}
