/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch table: filled from the slowest row upward, so the last row that the level allows wins. */
#include "kernels/kernels.h"

#include "kernels/kernel_decls.h"

/* NEON stands alone: it is above REF and beside the x86 levels. */
static bool allowed(clvi_cpu row, clvi_cpu level)
{
    return row == CLVI_CPU_REF || row == level || (level != CLVI_CPU_NEON && row < level);
}

clvi_kernels clvi_kernels_for(clvi_cpu level)
{
    clvi_kernels t = {0};
#define K_GEMM_F32(row, rows, columns, function) \
    if (allowed(row, level))                     \
        t.gemm_f32 = (clvi_gemm_f32){.run = function, .mr = rows, .nr = columns};
#define K_DWCONV_F32(row, function) \
    if (allowed(row, level))        \
        t.dwconv_f32 = function;
#define K_IM2COL_F32(row, function) \
    if (allowed(row, level))        \
        t.im2col_f32 = function;
#define K_PIXEL_GEMM_F32(row, rows, columns, function) \
    if (allowed(row, level))                           \
        t.pixel_gemm_f32 = (clvi_pixel_gemm_f32){.run = function, .mr = rows, .nr = columns};
#define K_DWROW_F32(row, function) \
    if (allowed(row, level))       \
        t.dwrow_f32 = function;
#define K_ACT_F32(row, function) \
    if (allowed(row, level))     \
        t.act_f32 = function;
#define K_MAXROWS_F32(row, function) \
    if (allowed(row, level))         \
        t.maxrows_f32 = function;
#define K_WINOGRAD_F32(row, tile_in, tile_out) \
    if (allowed(row, level))                   \
        t.winograd_f32 = (clvi_winograd_f32){.in = tile_in, .out = tile_out};
#include "kernels/kernel_list.h"
    return t;
}
