/* SPDX-License-Identifier: Apache-2.0 */
/* One picture through resize, crop and normalisation. */
#include "data/preprocess_apply.h"
#include "base/status.h"
#include "data/resize.h"

/* The stages of one picture: resized to h x w, then the window [out_h, out_w] at (top, left) of it; what of the window
 * is outside is black. Pictures and sizes are below 2^16, so int64_t holds every product. */
typedef struct geometry {
    int64_t h, w, out_h, out_w, top, left;
} geometry;

/* Offset of a centred window: torchvision's int(round(margin / 2)) with Python's half-to-even, or rounded down; a
 * window larger than the picture pads margin / 2 rounded down before it, as torchvision's CenterCrop does. */
static int64_t crop_offset(int64_t size, int64_t window, bool floor)
{
    const int64_t margin = size - window;
    if (margin < 0)
        return -(-margin / 2);
    return margin / 2 + (!floor && margin % 4 == 3);
}

static clv_status plan(geometry *g, const clv_preprocess *p, int height, int width, clv_error *err)
{
    const int64_t shorter = height < width ? height : width, longer = height < width ? width : height;
    *g = (geometry){.h = height, .w = width};
    if (p->resize_h > 0) {
        g->h = p->resize_h;
        g->w = p->resize_w;
    } else if (p->resize > 0) {
        const int64_t other = p->resize * longer / shorter;
        g->h = height <= width ? p->resize : other;
        g->w = height <= width ? other : p->resize;
    } else if (p->letterbox > 0) {
        int64_t other = (2 * (int64_t)p->letterbox * shorter + longer) / (2 * longer); /* rounded */
        other = other < 1 ? 1 : other;
        g->h = height <= width ? other : p->letterbox;
        g->w = height <= width ? p->letterbox : other;
    }
    g->out_h = p->letterbox > 0 ? p->letterbox : g->h;
    g->out_w = p->letterbox > 0 ? p->letterbox : g->w;
    if (p->crop_h > 0) {
        g->top = crop_offset(g->out_h, p->crop_h, p->crop_floor);
        g->left = crop_offset(g->out_w, p->crop_w, p->crop_floor);
        g->out_h = p->crop_h;
        g->out_w = p->crop_w;
    }
    if (g->h > CLVI_IMAGE_MAX_SIDE || g->w > CLVI_IMAGE_MAX_SIDE || (size_t)(g->h * g->w) > CLVI_IMAGE_MAX_PIXELS ||
        (size_t)(g->out_h * g->out_w) > CLVI_IMAGE_MAX_PIXELS)
        return FAIL(err, CLV_ERR_FORMAT, "a picture of %dx%d (height x width) would be resized to %lldx%lld", height,
                    width, (long long)g->h, (long long)g->w);
    return CLV_OK;
}

clv_status clvi_preprocess_size(const clv_preprocess *p, int height, int width, int64_t hw[2], clv_error *err)
{
    geometry g;
    TRY(plan(&g, p, height, width, err));
    hw[0] = g.out_h;
    hw[1] = g.out_w;
    return CLV_OK;
}

/* out[c, y, x] = (p * scale - mean[c]) / std[c], one table of 256 values a channel, computed in double. */
static void normalise(float *out, const clv_preprocess *p, const clvi_image *image, const geometry *g)
{
    for (int c = 0; c < 3; c++) {
        float table[256];
        const int from = p->order == CLV_BGR ? 2 - c : c;
        for (int v = 0; v < 256; v++)
            table[v] = (float)((v * (double)p->scale - (double)p->mean[c]) / (double)p->std[c]);
        for (int64_t y = g->top; y < g->top + g->out_h; y++) {
            const uint8_t *row =
                y >= 0 && y < image->height ? image->rgb + ((size_t)y * (size_t)image->width) * 3 + from : NULL;
            for (int64_t x = g->left; x < g->left + g->out_w; x++)
                *out++ = table[row && x >= 0 && x < image->width ? row[x * 3] : 0];
        }
    }
}

clv_status clvi_preprocess_apply(const clv_preprocess *p, const clvi_image *image, float *out, clv_error *err)
{
    geometry g;
    TRY(plan(&g, p, image->height, image->width, err));
    if (g.h == image->height && g.w == image->width) {
        normalise(out, p, image, &g);
        return CLV_OK;
    }
    clvi_image resized;
    TRY(clvi_resize(&resized, image, g.w, g.h, p->antialias, err));
    normalise(out, p, &resized, &g);
    clvi_image_free(&resized);
    return CLV_OK;
}

clv_preprocess clvi_preprocess_swapped_order(const clv_preprocess *p)
{
    clv_preprocess q = *p;
    q.order = p->order == CLV_RGB ? CLV_BGR : CLV_RGB;
    for (int c = 0; c < 3; c++) {
        q.mean[c] = p->mean[2 - c];
        q.std[c] = p->std[2 - c];
    }
    return q;
}
