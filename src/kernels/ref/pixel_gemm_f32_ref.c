/* SPDX-License-Identifier: Apache-2.0 */
/* C[m, n] = sum_{t, k} rows[t, m][k] * B[t, k, n] + bias[n] + add[m, n], clamped; the specification of pixel_gemm_f32.
 */
#include "kernels/kernel_decls.h"

#define MR 4
#define NR 16

void clvk_pixel_gemm_f32_4x16__ref(size_t taps, size_t depth, const float *const *rows, const float *b, float *c,
                                   size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = tile->bias ? (double)tile->bias[j] : 0.0;
            if (tile->add)
                sum += (double)tile->add[i * tile->add_ld + j];
            for (size_t t = 0; t < taps; t++)
                for (size_t k = 0; k < depth; k++)
                    sum += (double)rows[t * MR + i][k] * (double)b[(t * depth + k) * NR + j];
            float v = (float)sum;
            v = v < tile->lo ? tile->lo : v;
            c[i * ldc + j] = v > tile->hi ? tile->hi : v;
        }
    }
}
