/* SPDX-License-Identifier: Apache-2.0 */
#include "data/resize.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define BITS 22 /* fraction bits of a weight: 8 bits of pixel and 2 of head room are left in 32 */

/* Output i = sum_t weight[i * taps + t] * input[first[i] + t], t < count[i]. */
typedef struct filter {
    int taps;
    int *first, *count;
    int32_t *weight;
} filter;

static void filter_free(filter *f)
{
    clvi_free(f->first);
    clvi_free(f->count);
    clvi_free(f->weight);
}

static int clamp_int(double v, int low, int high)
{
    return v < low ? low : v > high ? high : (int)v;
}

/* The triangle max(0, 1 - |x| / support) sampled at input pixel centres, normalised to sum 1. */
static clv_status filter_make(filter *f, int in, int out, clv_error *err)
{
    const double scale = (double)in / out, stretch = scale > 1 ? scale : 1;
    f->taps = (int)ceil(stretch) * 2 + 1;
    size_t n = 0;
    if (clvi_mul((size_t)f->taps, (size_t)out, &n)) {
        f->first = clvi_alloc_array((size_t)out, sizeof *f->first);
        f->count = clvi_alloc_array((size_t)out, sizeof *f->count);
        f->weight = clvi_calloc(n, sizeof *f->weight);
    }
    double *w = clvi_alloc_array((size_t)f->taps, sizeof *w);
    if (!f->first || !f->count || !f->weight || !w) {
        clvi_free(w);
        return FAIL(err, CLV_ERR_NOMEM, "resize filter from %d to %d", in, out);
    }
    for (int i = 0; i < out; i++) {
        const double centre = (i + 0.5) * scale;
        const int first = clamp_int(centre - stretch + 0.5, 0, in);
        const int count = clamp_int(centre + stretch + 0.5, 0, in) - first;
        double sum = 0;
        for (int t = 0; t < count; t++) {
            const double x = fabs((t + first - centre + 0.5) * (1.0 / stretch));
            w[t] = x < 1 ? 1 - x : 0;
            sum += w[t];
        }
        for (int t = 0; t < count; t++)
            f->weight[(size_t)i * (size_t)f->taps + (size_t)t] =
                (int32_t)(0.5 + (sum > 0 ? w[t] / sum : w[t]) * (1 << BITS));
        f->first[i] = first;
        f->count[i] = count;
    }
    clvi_free(w);
    return CLV_OK;
}

static uint8_t to_byte(int32_t sum)
{
    const int32_t v = sum >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* out[height, f, 3] from in[height, width, 3] along each row */
static void filter_rows(clvi_image *out, const clvi_image *in, const filter *f)
{
    for (int y = 0; y < out->height; y++) {
        const uint8_t *row = in->rgb + (size_t)y * (size_t)in->width * 3;
        uint8_t *to = out->rgb + (size_t)y * (size_t)out->width * 3;
        for (int x = 0; x < out->width; x++, to += 3) {
            const uint8_t *p = row + (size_t)f->first[x] * 3;
            const int32_t *w = f->weight + (size_t)x * (size_t)f->taps;
            int32_t r = 1 << (BITS - 1), g = r, b = r;
            for (int t = 0; t < f->count[x]; t++, p += 3) {
                r += p[0] * w[t];
                g += p[1] * w[t];
                b += p[2] * w[t];
            }
            to[0] = to_byte(r);
            to[1] = to_byte(g);
            to[2] = to_byte(b);
        }
    }
}

/* out[f, width, 3] from in[height, width, 3] down each column */
static void filter_columns(clvi_image *out, const clvi_image *in, const filter *f)
{
    const size_t stride = (size_t)in->width * 3;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *from = in->rgb + (size_t)f->first[y] * stride;
        const int32_t *w = f->weight + (size_t)y * (size_t)f->taps;
        uint8_t *to = out->rgb + (size_t)y * stride;
        for (size_t i = 0; i < stride; i++) {
            int32_t sum = 1 << (BITS - 1);
            for (int t = 0; t < f->count[y]; t++)
                sum += from[(size_t)t * stride + i] * w[t];
            to[i] = to_byte(sum);
        }
    }
}

/* A pass whose size does not change is the identity. */
static clv_status resize_antialias(clvi_image *out, const clvi_image *in, clv_error *err)
{
    clv_status st = CLV_OK;
    filter rows = {0}, columns = {0};
    clvi_image between = {0};
    if (out->width == in->width && out->height == in->height) {
        memcpy(out->rgb, in->rgb, (size_t)in->width * (size_t)in->height * 3);
        return CLV_OK;
    }
    if (out->width != in->width && (st = filter_make(&rows, in->width, out->width, err)) != CLV_OK)
        goto out;
    if (out->height != in->height && (st = filter_make(&columns, in->height, out->height, err)) != CLV_OK)
        goto out;
    if (out->height == in->height) {
        filter_rows(out, in, &rows);
    } else if (out->width == in->width) {
        filter_columns(out, in, &columns);
    } else {
        if ((st = clvi_image_alloc(&between, out->width, in->height, err)) != CLV_OK)
            goto out;
        filter_rows(&between, in, &rows);
        filter_columns(out, &between, &columns);
    }
out:
    clvi_image_free(&between);
    filter_free(&rows);
    filter_free(&columns);
    return st;
}

/* Position i of `out` in `in`: neighbours low and low + 1 (when inside), weight part / whole of the second.
 * ((2 i + 1) in / (2 out)) - 1/2 = ((2 i + 1) in - out) / (2 out), in integers, so that ties are ties. */
static void neighbours(int i, int in, int out, int *low, int *high, int64_t *part)
{
    const int64_t whole = 2 * (int64_t)out;
    int64_t at = (2 * (int64_t)i + 1) * in - out;
    at = at < 0 ? 0 : at;
    *low = (int)(at / whole);
    *part = at % whole;
    if (*low >= in - 1) {
        *low = in - 1;
        *part = 0;
    }
    *high = *low + 1 < in ? *low + 1 : *low;
}

static void resize_plain(clvi_image *out, const clvi_image *in)
{
    const size_t stride = (size_t)in->width * 3;
    const int64_t wx = 2 * (int64_t)out->width, wy = 2 * (int64_t)out->height;
    uint8_t *to = out->rgb;
    for (int y = 0; y < out->height; y++) {
        int y0, y1;
        int64_t fy;
        neighbours(y, in->height, out->height, &y0, &y1, &fy);
        const uint8_t *top = in->rgb + (size_t)y0 * stride, *bottom = in->rgb + (size_t)y1 * stride;
        for (int x = 0; x < out->width; x++) {
            int x0, x1;
            int64_t fx;
            neighbours(x, in->width, out->width, &x0, &x1, &fx);
            for (int c = 0; c < 3; c++) {
                const int64_t a = top[x0 * 3 + c] * (wx - fx) + top[x1 * 3 + c] * fx;
                const int64_t b = bottom[x0 * 3 + c] * (wx - fx) + bottom[x1 * 3 + c] * fx;
                *to++ = (uint8_t)((a * (wy - fy) + b * fy + wx * wy / 2) / (wx * wy));
            }
        }
    }
}

clv_status clvi_resize(clvi_image *out, const clvi_image *in, int64_t width, int64_t height, bool antialias,
                       clv_error *err)
{
    TRY(clvi_image_alloc(out, width, height, err));
    clv_status st = CLV_OK;
    if (antialias)
        st = resize_antialias(out, in, err);
    else
        resize_plain(out, in);
    if (st != CLV_OK)
        clvi_image_free(out);
    return st;
}
