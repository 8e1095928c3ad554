/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32, AVX2: 8 channels of a tile at a time.
 *
 * Reference: ref/winograd_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES                  8
#define INLINE                 static inline __attribute__((always_inline))
#define ENTRY(name)            clvk_winograd_##name##_f32__avx2
#define load(x)                _mm256_loadu_ps(x)
#define store(y, v)            _mm256_storeu_ps(y, v)
#define load_part(x, some)     _mm256_maskload_ps(x, some)
#define store_part(y, v, some) _mm256_maskstore_ps(y, some, v)
#define set1(v)                _mm256_set1_ps(v)
#define add(a, b)              _mm256_add_ps(a, b)
#define sub(a, b)              _mm256_sub_ps(a, b)
#define mul(a, b)              _mm256_mul_ps(a, b)
#define fmadd(a, b, c)         _mm256_fmadd_ps(a, b, c)
#define fnmadd(a, b, c)        _mm256_fnmadd_ps(a, b, c)
#define clamp(v, least, most)  /* max and min return their second operand when one is NaN */ \
    _mm256_min_ps(set1(most), _mm256_max_ps(set1(least), v))

typedef __m256 vec;
typedef __m256i part;

INLINE part part_of(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < LANES ? (int)n : LANES), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#include "kernels/winograd_f32.inc"
