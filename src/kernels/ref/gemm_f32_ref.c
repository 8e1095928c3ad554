/* SPDX-License-Identifier: Apache-2.0 */
/* C[m, n] (+)= sum_k A[k, m] * B[k, n] + bias[m], clamped; the specification of gemm_f32. */
#include "kernels/kernel_decls.h"

#define MR 4
#define NR 16

void clvk_gemm_f32_4x16__ref(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n,
                             const clvi_gemm_tile *tile)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = tile->accumulate ? (double)c[i * ldc + j] : 0.0;
            for (size_t t = 0; t < k; t++)
                sum += (double)a[t * MR + i] * (double)b[t * NR + j];
            if (tile->bias)
                sum += (double)tile->bias[i];
            float v = (float)sum;
            v = v < tile->lo ? tile->lo : v;
            c[i * ldc + j] = v > tile->hi ? tile->hi : v;
        }
    }
}
