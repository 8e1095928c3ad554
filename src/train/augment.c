/* SPDX-License-Identifier: Apache-2.0 */
#include "train/augment.h"

#include <math.h>
#include <string.h>

#include "base/status.h"

clv_status clvi_augment_create(clvi_augment *out, const clvi_augment_opts *opts, const int64_t chw[3],
                               const clv_preprocess *p, clv_error *err)
{
    static const float grey[3] = {0.299F, 0.587F, 0.114F}; /* ITU-R BT.601, as Pillow and torchvision weigh */
    *out = (clvi_augment){.opts = *opts, .c = chw[0], .h = chw[1], .w = chw[2]};
    if (opts->jitter > 0 && (!p || chw[0] != 3))
        return FAIL(err, CLV_ERR_UNSUP, "arrays have no colours that could be changed");
    for (int k = 0; k < 3 && p; k++) {
        out->black[k] = -p->mean[k] / p->std[k];
        out->white[k] = (255 * p->scale - p->mean[k]) / p->std[k];
        out->grey[k] = grey[p->order == CLV_BGR ? 2 - k : k];
        out->unit[k] = p->std[k];
    }
    return CLV_OK;
}

/* --- crop -------------------------------------------------------------------------------------------------------- */

typedef struct window {
    double top, left, h, w;
} window;

/* A window of a share `crop` to 1 of the area and a ratio of 3/4 to 4/3, as torchvision's RandomResizedCrop draws it;
 * the whole image when ten do not fit. Source: Szegedy et al., arXiv 1409.4842, section 6. */
static window draw_window(const clvi_augment *a, clvi_rng *rng)
{
    const double h = (double)a->h, w = (double)a->w, ratio = log(4.0 / 3.0);
    for (int i = 0; i < 10; i++) {
        const double area = h * w * (a->opts.crop + (1 - a->opts.crop) * clvi_rng_uniform(rng));
        const double aspect = exp(ratio * (2 * clvi_rng_uniform(rng) - 1));
        const double wide = round(sqrt(area * aspect)), high = round(sqrt(area / aspect));
        if (wide < 1 || high < 1 || wide > w || high > h)
            continue;
        const double top = (double)clvi_rng_below(rng, (uint64_t)(h - high) + 1);
        return (window){top, (double)clvi_rng_below(rng, (uint64_t)(w - wide) + 1), high, wide};
    }
    return (window){0, 0, h, w};
}

/* The two pixels of an axis around output i, and the weight of the second. Half-pixel centres; the window is never
 * larger than the image, so nothing is averaged away. */
static void two_pixels(int64_t at[2], float *weight, double first, double length, int64_t i, int64_t size)
{
    const double x = fmin(fmax(((double)i + 0.5) * length / (double)size - 0.5, 0), length - 1), low = floor(x);
    *weight = (float)(x - low);
    at[0] = (int64_t)(first + low);
    at[1] = (int64_t)(first + fmin(low + 1, length - 1));
}

static void crop(const clvi_augment *a, float *out, const float *in, clvi_rng *rng)
{
    const window v = draw_window(a, rng);
    for (int64_t y = 0; y < a->h; y++) {
        int64_t row[2];
        float down;
        two_pixels(row, &down, v.top, v.h, y, a->h);
        for (int64_t x = 0; x < a->w; x++) {
            int64_t column[2];
            float right;
            two_pixels(column, &right, v.left, v.w, x, a->w);
            for (int64_t k = 0; k < a->c; k++) {
                const float *const p = in + k * a->h * a->w;
                const float *const above = p + row[0] * a->w, *const below = p + row[1] * a->w;
                const float high = above[column[0]] + right * (above[column[1]] - above[column[0]]);
                const float low = below[column[0]] + right * (below[column[1]] - below[column[0]]);
                out[(k * a->h + y) * a->w + x] = high + down * (low - high);
            }
        }
    }
}

/* --- shift and mirror -------------------------------------------------------------------------------------------- */

/* out = the crop at (dy, dx) of the image with a black border of `shift`, perhaps mirrored. */
static void move(const clvi_augment *a, float *out, const float *in, clvi_rng *rng)
{
    const int64_t c = a->c, h = a->h, w = a->w, s = a->opts.shift;
    const int64_t dy = s ? (int64_t)clvi_rng_below(rng, (uint64_t)(2 * s + 1)) - s : 0;
    const int64_t dx = s ? (int64_t)clvi_rng_below(rng, (uint64_t)(2 * s + 1)) - s : 0;
    const bool mirror = a->opts.flip && clvi_rng_below(rng, 2);
    if (!dy && !dx && !mirror) {
        memcpy(out, in, (size_t)(c * h * w) * sizeof *out);
        return;
    }
    for (int64_t k = 0; k < c; k++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++) {
                const int64_t fy = y + dy, fx = (mirror ? w - 1 - x : x) + dx;
                const bool inside = fy >= 0 && fy < h && fx >= 0 && fx < w;
                out[(k * h + y) * w + x] = inside ? in[(k * h + fy) * w + fx] : a->black[k % 3];
            }
}

/* --- colour ------------------------------------------------------------------------------------------------------ */

/* With u = pixel value above black: brightness u b, contrast u c + (1 - c) mean grey, saturation u s + (1 - s) grey of
 * the pixel; each result is cut to black and white, as 8-bit pixels would be. */
static void jitter(const clvi_augment *a, float *image, clvi_rng *rng)
{
    const size_t n = (size_t)(a->h * a->w);
    float factor[3], full[3];
    for (int i = 0; i < 3; i++)
        factor[i] = (float)(1 + a->opts.jitter * (2 * clvi_rng_uniform(rng) - 1));
    double mean = 0;
    for (size_t k = 0; k < 3; k++) {
        full[k] = (a->white[k] - a->black[k]) * a->unit[k];
        for (size_t i = 0; i < n; i++) {
            float *const x = &image[k * n + i];
            *x = fminf(fmaxf((*x - a->black[k]) * a->unit[k] * factor[0], 0), full[k]);
            mean += (double)(a->grey[k] * *x);
        }
    }
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        float u[3], grey = 0;
        for (size_t k = 0; k < 3; k++) {
            u[k] = fminf(fmaxf(image[k * n + i] * factor[1] + (1 - factor[1]) * (float)mean, 0), full[k]);
            grey += a->grey[k] * u[k];
        }
        for (size_t k = 0; k < 3; k++)
            image[k * n + i] =
                fminf(fmaxf(u[k] * factor[2] + (1 - factor[2]) * grey, 0), full[k]) / a->unit[k] + a->black[k];
    }
}

/* A black square whose centre is any pixel. DeVries and Taylor, arXiv 1708.04552. */
static void cut_out(const clvi_augment *a, float *image, clvi_rng *rng)
{
    const int64_t h = a->h, w = a->w, side = a->opts.cutout;
    const int64_t top = (int64_t)clvi_rng_below(rng, (uint64_t)h) - side / 2;
    const int64_t left = (int64_t)clvi_rng_below(rng, (uint64_t)w) - side / 2;
    for (int64_t k = 0; k < a->c; k++)
        for (int64_t y = top < 0 ? 0 : top; y < top + side && y < h; y++)
            for (int64_t x = left < 0 ? 0 : left; x < left + side && x < w; x++)
                image[(k * h + y) * w + x] = a->black[k % 3];
}

void clvi_augment_image(const clvi_augment *a, float *out, const float *in, float *room, clvi_rng *rng)
{
    if (a->opts.crop > 0) {
        crop(a, room, in, rng);
        in = room;
    }
    move(a, out, in, rng);
    if (a->opts.jitter > 0)
        jitter(a, out, rng);
    if (a->opts.cutout > 0)
        cut_out(a, out, rng);
}

/* Joehnk's way to a beta variate, which suits alpha <= 1: at least every second pair is taken. Mixup: Zhang et al.,
 * arXiv 1710.09412. */
double clvi_augment_share(clvi_rng *rng, double alpha)
{
    for (;;) {
        const double x = pow(clvi_rng_uniform(rng), 1 / alpha), y = pow(clvi_rng_uniform(rng), 1 / alpha);
        if (!(x + y <= 1))
            continue;
        if (x + y > 0)
            return fmax(x, y) / (x + y);
        return 1; /* both vanish: alpha is so small that nothing is mixed */
    }
}
