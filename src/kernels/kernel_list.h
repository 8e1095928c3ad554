/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel, once. Read by the declarations, the dispatch table, the checker and its timing mode, each with its own
 * meaning of the rows; no include guard, so that it can be read again. Order inside a slot: slowest first.
 *   K_GEMM_F32(level, mr, nr, function)
 *   K_DWCONV_F32(level, function)
 *   K_IM2COL_F32(level, function)
 *   K_PIXEL_GEMM_F32(level, mr, nr, function)
 *   K_DWROW_F32(level, function)
 *   K_ACT_F32(level, function)
 *   K_MAXROWS_F32(level, function)
 *   K_WINOGRAD_F32(level, function of a tile's input, of its output) */
#ifndef K_GEMM_F32
#define K_GEMM_F32(level, mr, nr, function)
#endif
#ifndef K_DWCONV_F32
#define K_DWCONV_F32(level, function)
#endif
#ifndef K_IM2COL_F32
#define K_IM2COL_F32(level, function)
#endif
#ifndef K_PIXEL_GEMM_F32
#define K_PIXEL_GEMM_F32(level, mr, nr, function)
#endif
#ifndef K_DWROW_F32
#define K_DWROW_F32(level, function)
#endif
#ifndef K_MAXROWS_F32
#define K_MAXROWS_F32(level, function)
#endif
#ifndef K_WINOGRAD_F32
#define K_WINOGRAD_F32(level, in, out)
#endif
#ifndef K_ACT_F32
#define K_ACT_F32(level, function)
#endif

K_GEMM_F32(CLVI_CPU_REF, 4, 16, clvk_gemm_f32_4x16__ref)
K_DWCONV_F32(CLVI_CPU_REF, clvk_dwconv_f32__ref)
K_IM2COL_F32(CLVI_CPU_REF, clvk_im2col_f32__ref)
K_PIXEL_GEMM_F32(CLVI_CPU_REF, 4, 16, clvk_pixel_gemm_f32_4x16__ref)
K_DWROW_F32(CLVI_CPU_REF, clvk_dwrow_f32__ref)
K_ACT_F32(CLVI_CPU_REF, clvk_act_f32__ref)
K_MAXROWS_F32(CLVI_CPU_REF, clvk_maxrows_f32__ref)
K_WINOGRAD_F32(CLVI_CPU_REF, clvk_winograd_in_f32__ref, clvk_winograd_out_f32__ref)
#if defined(__x86_64__)
K_GEMM_F32(CLVI_CPU_AVX2, 6, 16, clvk_gemm_f32_6x16__avx2)
K_GEMM_F32(CLVI_CPU_AVX512, 14, 32, clvk_gemm_f32_14x32__avx512)
K_DWCONV_F32(CLVI_CPU_AVX2, clvk_dwconv_f32__avx2)
K_DWCONV_F32(CLVI_CPU_AVX512, clvk_dwconv_f32__avx512)
K_IM2COL_F32(CLVI_CPU_AVX2, clvk_im2col_f32__avx2)
K_IM2COL_F32(CLVI_CPU_AVX512, clvk_im2col_f32__avx512)
K_PIXEL_GEMM_F32(CLVI_CPU_AVX2, 6, 16, clvk_pixel_gemm_f32_6x16__avx2)
K_PIXEL_GEMM_F32(CLVI_CPU_AVX512, 14, 32, clvk_pixel_gemm_f32_14x32__avx512)
K_DWROW_F32(CLVI_CPU_AVX2, clvk_dwrow_f32__avx2)
K_DWROW_F32(CLVI_CPU_AVX512, clvk_dwrow_f32__avx512)
K_ACT_F32(CLVI_CPU_AVX2, clvk_act_f32__avx2)
K_ACT_F32(CLVI_CPU_AVX512, clvk_act_f32__avx512)
K_MAXROWS_F32(CLVI_CPU_AVX2, clvk_maxrows_f32__avx2)
K_MAXROWS_F32(CLVI_CPU_AVX512, clvk_maxrows_f32__avx512)
K_WINOGRAD_F32(CLVI_CPU_AVX2, clvk_winograd_in_f32__avx2, clvk_winograd_out_f32__avx2)
K_WINOGRAD_F32(CLVI_CPU_AVX512, clvk_winograd_in_f32__avx512, clvk_winograd_out_f32__avx512)
#endif
#if defined(__aarch64__)
K_GEMM_F32(CLVI_CPU_NEON, 6, 16, clvk_gemm_f32_6x16__neon)
K_DWCONV_F32(CLVI_CPU_NEON, clvk_dwconv_f32__neon)
K_IM2COL_F32(CLVI_CPU_NEON, clvk_im2col_f32__neon)
K_PIXEL_GEMM_F32(CLVI_CPU_NEON, 6, 16, clvk_pixel_gemm_f32_6x16__neon)
K_DWROW_F32(CLVI_CPU_NEON, clvk_dwrow_f32__neon)
K_ACT_F32(CLVI_CPU_NEON, clvk_act_f32__neon)
K_MAXROWS_F32(CLVI_CPU_NEON, clvk_maxrows_f32__neon)
K_WINOGRAD_F32(CLVI_CPU_NEON, clvk_winograd_in_f32__neon, clvk_winograd_out_f32__neon)
#endif

#undef K_GEMM_F32
#undef K_DWCONV_F32
#undef K_IM2COL_F32
#undef K_PIXEL_GEMM_F32
#undef K_DWROW_F32
#undef K_ACT_F32
#undef K_MAXROWS_F32
#undef K_WINOGRAD_F32
