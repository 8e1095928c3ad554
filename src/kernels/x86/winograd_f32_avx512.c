/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32, AVX-512: 16 channels of a tile at a time.
 *
 * Reference: ref/winograd_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES                 16
#define INLINE                static inline __attribute__((always_inline))
#define load(x)               _mm512_loadu_ps(x)
#define store(y, v)           _mm512_storeu_ps(y, v)
#define set1(v)               _mm512_set1_ps(v)
#define add(a, b)             _mm512_add_ps(a, b)
#define sub(a, b)             _mm512_sub_ps(a, b)
#define mul(a, b)             _mm512_mul_ps(a, b)
#define fmadd(a, b, c)        _mm512_fmadd_ps(a, b, c)
#define fnmadd(a, b, c)       _mm512_fnmadd_ps(a, b, c)
#define clamp(v, least, most) /* max and min return their second operand when one is NaN */ \
    _mm512_min_ps(set1(most), _mm512_max_ps(set1(least), v))

typedef __m512 vec;

#include "kernels/winograd_f32.inc"

void clvk_winograd_in_f32__avx512(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels)
{
    if (m == 4)
        in_all(4, rows, v, v_ld, channels);
    else
        in_all(2, rows, v, v_ld, channels);
}

void clvk_winograd_out_f32__avx512(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels)
{
    out_all(tile, products, y, channels);
}
