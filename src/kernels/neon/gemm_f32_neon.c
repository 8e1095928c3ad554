/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32, NEON: tiles of up to 6 rows x 16 columns.
 *
 * A full tile keeps 24 sums in v registers; 4 more hold a row of B and 2 a column of A, which fmla takes lane by lane:
 * 6 loads for 24 multiply-adds. Smaller m and n <= 8 have their own code. Each sum runs over k in order with one fused
 * multiply-add a step: an element's bits do not depend on the tile it is computed in.
 *
 * Reference: ref/gemm_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define MR 6
#define NR 16

/* Columns [4v, 4v + 4) of row i, as far as they are below n; c is the row's first column. */
INLINE void finish(float32x4_t sum, float *c, size_t n, size_t i, size_t v, const clvi_gemm_tile *tile)
{
    const size_t at = v * LANES, left = n - at;
    if (tile->accumulate)
        sum = vaddq_f32(sum, load_part(c + at, left));
    if (tile->bias)
        sum = vaddq_f32(sum, vdupq_n_f32(tile->bias[i]));
    store_part(c + at, clamp(sum, tile->lo, tile->hi), left);
}

/* The same of a tile that does not fill its columns: sum[m][4], of which the vectors below n count. */
static void finish_parts(const float32x4_t *sum, float *c, size_t ldc, size_t m, size_t n, const clvi_gemm_tile *tile)
{
    for (size_t i = 0; i < m; i++)
        for (size_t v = 0; v * LANES < n; v++)
            finish(sum[i * 4 + v], c + i * ldc, n, i, v, tile);
}

/* m rows and `vectors` x 4 columns, both known when this is compiled. */
INLINE void run(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t n, const clvi_gemm_tile *tile,
                const size_t m, const size_t vectors)
{
    float32x4_t sum[MR][4];
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = vdupq_n_f32(0.0f);
    for (size_t t = 0; t < k; t++, a += MR, b += NR) {
        const float32x4_t a0 = vld1q_f32(a);
        const float32x2_t a4 = vld1_f32(a + 4);
        float32x4_t bv[4];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            bv[v] = vld1q_f32(b + v * LANES);
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            sum[0][v] = vfmaq_laneq_f32(sum[0][v], bv[v], a0, 0);
            if (m > 1)
                sum[1][v] = vfmaq_laneq_f32(sum[1][v], bv[v], a0, 1);
            if (m > 2)
                sum[2][v] = vfmaq_laneq_f32(sum[2][v], bv[v], a0, 2);
            if (m > 3)
                sum[3][v] = vfmaq_laneq_f32(sum[3][v], bv[v], a0, 3);
            if (m > 4)
                sum[4][v] = vfmaq_lane_f32(sum[4][v], bv[v], a4, 0);
            if (m > 5)
                sum[5][v] = vfmaq_lane_f32(sum[5][v], bv[v], a4, 1);
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

void clvk_gemm_f32_6x16__neon(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n,
                              const clvi_gemm_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(rows)                                  \
    case rows:                                      \
        if (n > 8)                                  \
            run(k, a, b, c, ldc, n, tile, rows, 4); \
        else                                        \
            run(k, a, b, c, ldc, n, tile, rows, 2); \
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
