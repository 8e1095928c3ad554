/* SPDX-License-Identifier: Apache-2.0 */
/* The declaration of every kernel in kernel_list.h. */
#ifndef CLVI_KERNELS_KERNEL_DECLS_H
#define CLVI_KERNELS_KERNEL_DECLS_H

#include "kernels/kernels.h"

#define K_GEMM_F32(level, mr, nr, function)                                                           \
    void function(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n, \
                  const clvi_gemm_tile *tile);
#define K_DWCONV_F32(level, function) \
    void function(const clvi_dwconv_plane *p, const float *x, const float *k, float *y);
#define K_IM2COL_F32(level, function) \
    void function(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n, float *b);
#define K_PIXEL_GEMM_F32(level, mr, nr, function)                                                                      \
    void function(size_t taps, size_t depth, const float *const *rows, const float *b, float *c, size_t ldc, size_t m, \
                  size_t n, const clvi_pixel_tile *tile);
#define K_DWROW_F32(level, function)                                                                       \
    void function(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y, \
                  size_t first, size_t count);
#define K_ACT_F32(level, function)     void function(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld);
#define K_MAXROWS_F32(level, function) void function(size_t taps, const float *const *rows, float *y, size_t channels);
#define K_WINOGRAD_F32(level, in, out)                                                   \
    void in(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels); \
    void out(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels);
#include "kernels/kernel_list.h"

#endif
