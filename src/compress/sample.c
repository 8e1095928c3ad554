/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/sample.h"

int64_t clvi_sample_count(const clvi_places *p, int64_t image)
{
    return clvi_places_first_row(p, image + 1) - clvi_places_first_row(p, image);
}

static float *gather_patch(float *to, const clvi_conv_shape *s, const float *x, int64_t at)
{
    const int64_t y0 = at / s->ow * s->sh - s->pt, x0 = at % s->ow * s->sw - s->pl;
    for (int64_t ch = 0; ch < s->c / s->groups; ch++, x += s->h * s->w)
        for (int64_t i = 0; i < s->kh; i++) {
            const int64_t row = y0 + i * s->dh;
            for (int64_t j = 0; j < s->kw; j++) {
                const int64_t col = x0 + j * s->dw;
                const bool inside = row >= 0 && row < s->h && col >= 0 && col < s->w;
                *to++ = inside ? x[row * s->w + col] : 0.0F;
            }
        }
    return to;
}

void clvi_sample_patches(float *to, const clvi_places *places, const clvi_site *site, int64_t group, int64_t image,
                         const float *x)
{
    const clvi_conv_shape *s = &site->shape;
    const int64_t count = clvi_sample_count(places, image);
    clvi_rng rng;
    clvi_places_start(places, &rng, image);
    x += group * (s->c / s->groups) * s->h * s->w;
    for (int64_t j = 0; j < count; j++)
        to = gather_patch(to, s, x, clvi_places_next(places, &rng, j, count));
}

void clvi_sample_outputs(float *to, const clvi_places *places, int64_t o, int64_t image, const float *y)
{
    const int64_t count = clvi_sample_count(places, image);
    clvi_rng rng;
    clvi_places_start(places, &rng, image);
    for (int64_t j = 0; j < count; j++, to += o) {
        const int64_t at = clvi_places_next(places, &rng, j, count);
        for (int64_t ch = 0; ch < o; ch++)
            to[ch] = y[ch * places->pixels + at];
    }
}
