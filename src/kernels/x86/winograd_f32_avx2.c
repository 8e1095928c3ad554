/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32, AVX2: 8 channels of a tile at a time.
 *
 * Reference: ref/winograd_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES                 8
#define INLINE                static inline __attribute__((always_inline))
#define load(x)               _mm256_loadu_ps(x)
#define store(y, v)           _mm256_storeu_ps(y, v)
#define set1(v)               _mm256_set1_ps(v)
#define add(a, b)             _mm256_add_ps(a, b)
#define sub(a, b)             _mm256_sub_ps(a, b)
#define mul(a, b)             _mm256_mul_ps(a, b)
#define fmadd(a, b, c)        _mm256_fmadd_ps(a, b, c)
#define fnmadd(a, b, c)       _mm256_fnmadd_ps(a, b, c)
#define clamp(v, least, most) /* max and min return their second operand when one is NaN */ \
    _mm256_min_ps(set1(most), _mm256_max_ps(set1(least), v))

typedef __m256 vec;

#include "kernels/winograd_f32.inc"

void clvk_winograd_in_f32__avx2(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels)
{
    if (m == 4)
        in_all(4, rows, v, v_ld, channels);
    else
        in_all(2, rows, v, v_ld, channels);
}

void clvk_winograd_out_f32__avx2(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels)
{
    out_all(tile, products, y, channels);
}
