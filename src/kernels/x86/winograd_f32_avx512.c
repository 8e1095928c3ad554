/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32, AVX-512: 16 channels of a tile at a time.
 *
 * Reference: ref/winograd_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES                  16
#define INLINE                 static inline __attribute__((always_inline))
#define ENTRY(name)            clvk_winograd_##name##_f32__avx512
#define load(x)                _mm512_loadu_ps(x)
#define store(y, v)            _mm512_storeu_ps(y, v)
#define part_of(n)             (__mmask16)((n) < LANES ? (1U << (n)) - 1 : 0xffff)
#define load_part(x, some)     _mm512_maskz_loadu_ps(some, x)
#define store_part(y, v, some) _mm512_mask_storeu_ps(y, some, v)
#define set1(v)                _mm512_set1_ps(v)
#define add(a, b)              _mm512_add_ps(a, b)
#define sub(a, b)              _mm512_sub_ps(a, b)
#define mul(a, b)              _mm512_mul_ps(a, b)
#define fmadd(a, b, c)         _mm512_fmadd_ps(a, b, c)
#define fnmadd(a, b, c)        _mm512_fnmadd_ps(a, b, c)
#define clamp(v, least, most)  /* max and min return their second operand when one is NaN */ \
    _mm512_min_ps(set1(most), _mm512_max_ps(set1(least), v))

typedef __m512 vec;
typedef __mmask16 part;

#include "kernels/winograd_f32.inc"
