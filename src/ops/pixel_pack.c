/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of pixel steps, packed once when a plan is made. */
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/pixels.h"

/* [o, c, taps] -> [panel][tap][c][nr], then c zeros for taps outside the image. `order` 0: channel k is row k. m > 1:
 * the rows come in the order of a depthwise step with multiplier m, which computes channel k = i * m + f as f * (c / m)
 * + i.
 */
static float *pack_filters(clvi_arena *arena, const clvi_conv_shape *s, size_t nr, size_t m, const float *w)
{
    const size_t o = (size_t)s->o, c = (size_t)s->c, taps = (size_t)(s->kh * s->kw);
    size_t floats; /* then bytes */
    if (!clvi_mul(clvi_round_up(o, nr), taps, &floats) || !clvi_mul(floats, c, &floats) ||
        !clvi_add(floats, c, &floats) || !clvi_mul(floats, sizeof(float), &floats))
        return NULL;
    float *const packed = clvi_arena_alloc(arena, floats);
    float *to = packed;
    if (!packed)
        return NULL;
    for (size_t column = 0; column < o; column += nr) {
        for (size_t t = 0; t < taps; t++) {
            for (size_t row = 0; row < c; row++, to += nr) {
                const size_t k = row % (c / m) * m + row / (c / m);
                for (size_t j = 0; j < nr; j++)
                    to[j] = column + j < o ? w[((column + j) * c + k) * taps + t] : 0.0f;
            }
        }
    }
    memset(to, 0, c * sizeof *to);
    return packed;
}

/* [c * m, taps] -> [filter f < m][tap][c]; m = 1 is the plain transpose. */
static float *pack_depthwise(clvi_arena *arena, const clvi_conv_shape *s, const float *w)
{
    const size_t c = (size_t)s->c, m = (size_t)s->o / c, taps = (size_t)(s->kh * s->kw);
    size_t bytes;
    if (!clvi_mul((size_t)s->o, taps, &bytes) || !clvi_mul(bytes, sizeof(float), &bytes))
        return NULL;
    float *const packed = clvi_arena_alloc(arena, bytes);
    for (size_t f = 0; f < m && packed; f++)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < c; i++)
                packed[(f * taps + t) * c + i] = w[(i * m + f) * taps + t];
    return packed;
}

/* bias of a depthwise layer in the same order; also used with m = 1 for any layer. */
static float *copy_bias(clvi_arena *arena, const float *bias, size_t c, size_t m)
{
    float *const copy = clvi_arena_alloc(arena, c * m * sizeof *copy);
    for (size_t f = 0; f < m && copy; f++)
        for (size_t i = 0; i < c; i++)
            copy[f * c + i] = bias[i * m + f];
    return copy;
}

clv_status clvi_pixel_pack(const clvi_kernels *kernels, clvi_arena *arena, clvi_pixel_conv *conv, size_t multiplier,
                           const float *w, const float *bias, const char *label, clv_error *err)
{
    const clvi_conv_shape *const s = &conv->shape;
    const bool depthwise = clvi_pixel_is_depthwise(s);
    const size_t c = depthwise ? (size_t)s->c : (size_t)s->o;
    const size_t nr = kernels->pixel_gemm_f32.nr;
    conv->weights = depthwise        ? pack_depthwise(arena, s, w)
                    : conv->winograd ? clvi_pixel_pack_winograd(arena, s, nr, conv->winograd, w)
                                     : pack_filters(arena, s, nr, multiplier, w);
    if (conv->weights && bias)
        conv->bias = copy_bias(arena, bias, c, (size_t)s->o / c);
    if (conv->act.slope) /* as the bias: a channel's place is the same */
        conv->act.slope = copy_bias(arena, conv->act.slope, c, (size_t)s->o / c);
    return conv->weights && (conv->bias || !bias) && (conv->act.slope || conv->act.kind != CLVI_ACT_PRELU)
               ? CLV_OK
               : FAIL(err, CLV_ERR_NOMEM, "node \"%s\": packed weights of %lld filters", label, (long long)s->o);
}
