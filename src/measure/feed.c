/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/feed.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define MAX_BATCH_FLOATS ((int64_t)1 << 24) /* 64 MiB of input, whatever batch was asked for */

static bool is_image_input(const clvi_value *v)
{
    const bool number = v->dtype == CLV_FLOAT32 || v->dtype == CLV_FLOAT16 || v->dtype == CLV_FLOAT64 ||
                        v->dtype == CLV_BFLOAT16 || v->dtype == CLV_DTYPE_NONE;
    return number && (v->rank == 4 || v->rank == -1);
}

/* Height and width that every image has after preprocessing, false when they follow the image. */
static bool preprocess_size(const clv_preprocess *p, int64_t *h, int64_t *w)
{
    if (p->crop_h > 0 && p->crop_w > 0) {
        *h = p->crop_h;
        *w = p->crop_w;
        return true;
    }
    *h = p->letterbox > 0 ? p->letterbox : p->resize_h;
    *w = p->letterbox > 0 ? p->letterbox : p->resize_w;
    return *h > 0 && *w > 0;
}

static clv_status find_shape(clvi_feed *f, const clvi_value *v, clv_error *err)
{
    const bool declared = v->rank == 4;
    const int64_t c = declared ? v->dims[1] : -1, h = declared ? v->dims[2] : -1, w = declared ? v->dims[3] : -1;
    if (clv_dataset_is_tensor(f->dataset)) {
        TRY(clv_dataset_shape(f->dataset, 0, f->preprocess, f->chw, err));
    } else {
        f->chw[0] = 3;
        f->varying = !preprocess_size(f->preprocess, &f->chw[1], &f->chw[2]);
        if (f->varying && h > 0 && w > 0) { /* every image must come in this size already */
            f->varying = false;
            f->chw[1] = h;
            f->chw[2] = w;
        }
    }
    if ((c > 0 && c != f->chw[0]) || (!f->varying && ((h > 0 && h != f->chw[1]) || (w > 0 && w != f->chw[2]))))
        return FAIL(err, CLV_ERR_DATA,
                    "input \"%s\" takes %" PRId64 " x %" PRId64 " x %" PRId64 ", the data are %" PRId64 " x %" PRId64
                    " x %" PRId64 " (channels x height x width, -1: any)",
                    v->name, c, h, w, f->chw[0], f->chw[1], f->chw[2]);
    return CLV_OK;
}

static clv_status choose_batch(clvi_feed *f, const clvi_value *v, int64_t asked, clv_error *err)
{
    int64_t image = 1;
    if (!f->varying && (!clvi_mul_i64(f->chw[1], f->chw[2], &image) || !clvi_mul_i64(image, f->chw[0], &image) ||
                        image < 1 || image > INT64_MAX / 64))
        return FAIL(err, CLV_ERR_DATA, "images of %" PRId64 " x %" PRId64 " x %" PRId64 " are too large or empty",
                    f->chw[0], f->chw[1], f->chw[2]);
    f->fixed_batch = v->rank == 4 && v->dims[0] > 0;
    if (f->fixed_batch)
        f->batch = v->dims[0];
    else if (f->varying)
        f->batch = 1;
    else
        f->batch = image > MAX_BATCH_FLOATS / asked ? MAX_BATCH_FLOATS / image : asked;
    if (f->batch < 1)
        f->batch = 1;
    if (f->fixed_batch && f->varying && f->batch > 1)
        return FAIL(err, CLV_ERR_DATA,
                    "input \"%s\" takes %" PRId64 " images at once, but the preprocessing leaves them at different "
                    "sizes: add a resize or a crop",
                    v->name, f->batch);
    return CLV_OK;
}

clv_status clvi_feed_create(clvi_feed *out, const clvi_graph *graph, clv_dataset *dataset,
                            const clv_preprocess *preprocess, clvi_feed_opts opts, clv_context *context, clv_error *err)
{
    *out = (clvi_feed){.dataset = dataset, .preprocess = preprocess, .context = context};
    if (opts.batch < 1 || opts.limit < 0)
        return FAIL(err, CLV_ERR_ARG, "batch %" PRId64 " or limit %" PRId64 " is too small", opts.batch, opts.limit);
    if (graph->n_inputs != 1 || !is_image_input(&graph->values[graph->inputs[0]]))
        return FAIL(err, CLV_ERR_UNSUP,
                    "images need a model with one float input [n, c, h, w]; this one has %zu inputs, the first called "
                    "\"%s\"",
                    graph->n_inputs, graph->n_inputs ? graph->values[graph->inputs[0]].name : "");
    const clvi_value *v = &graph->values[graph->inputs[0]];
    out->count = clv_dataset_count(dataset);
    if (out->count < 1)
        return FAIL(err, CLV_ERR_DATA, "the data set is empty");
    out->used = opts.limit > 0 && opts.limit < out->count ? opts.limit : out->count;
    TRY(find_shape(out, v, err));
    TRY(choose_batch(out, v, opts.batch, err));
    out->bad = clvi_calloc((size_t)out->batch, sizeof *out->bad);
    out->index = clvi_calloc((size_t)out->batch, sizeof *out->index);
    if (!out->bad || !out->index) {
        clvi_feed_free(out);
        return FAIL(err, CLV_ERR_NOMEM, "batch of %" PRId64 " images", out->batch);
    }
    return CLV_OK;
}

void clvi_feed_free(clvi_feed *feed)
{
    clvi_free(feed->input.data);
    clvi_free(feed->bad);
    clvi_free(feed->index);
    *feed = (clvi_feed){0};
}

/* Room for [n, c, h, w], grown when an image is larger than those before. */
static clv_status shape_input(clvi_feed *f, int64_t n, clv_error *err)
{
    f->input = (clv_tensor){CLV_FLOAT32, 4, {n, f->chw[0], f->chw[1], f->chw[2]}, f->input.data};
    const int64_t count = clv_tensor_count(&f->input);
    size_t bytes;
    if (count < 1 || !clvi_mul((size_t)count, sizeof(float), &bytes))
        return FAIL(err, CLV_ERR_DATA, "image of %" PRId64 " x %" PRId64 " x %" PRId64 " is too large or empty",
                    f->chw[0], f->chw[1], f->chw[2]);
    if (bytes > f->capacity) {
        clvi_free(f->input.data);
        f->capacity = 0;
        f->input.data = clvi_alloc(bytes);
        if (!f->input.data)
            return FAIL(err, CLV_ERR_NOMEM, "%zu bytes of images", bytes);
        f->capacity = bytes;
    }
    return CLV_OK;
}

/* Items that stand together in the set are read in one call, so that they are decoded in parallel. */
static clv_status read_items(clvi_feed *f, clv_error *err)
{
    const size_t image = (size_t)(f->chw[0] * f->chw[1] * f->chw[2]);
    for (int64_t row = 0; row < f->rows;) {
        int64_t n = 1;
        while (row + n < f->rows && f->index[row + n] == f->index[row] + n)
            n++;
        clv_tensor part = f->input;
        part.dims[0] = n;
        part.data = (float *)f->input.data + (size_t)row * image;
        TRY(clv_dataset_read(f->dataset, f->index[row], n, f->preprocess, &part, f->bad + row, f->context, err));
        row += n;
    }
    return CLV_OK;
}

clv_status clvi_feed_next(clvi_feed *f, bool *more, clv_error *err)
{
    *more = f->next < f->used;
    if (!*more)
        return CLV_OK;
    TRY(clvi_check_cancel(f->context, err));
    f->rows = f->used - f->next < f->batch ? f->used - f->next : f->batch;
    for (int64_t i = 0; i < f->rows; i++) {
        const double place = (double)(f->next + i) * ((double)f->count / (double)f->used);
        f->index[i] = f->used == f->count ? f->next + i : (int64_t)place;
    }
    f->next += f->rows;
    if (f->varying) {
        int64_t chw[3];
        clv_error ignored; /* a corrupt image has no size: the read below names it and counts it */
        if (clv_dataset_shape(f->dataset, f->index[0], f->preprocess, chw, &ignored) == CLV_OK)
            memcpy(f->chw, chw, sizeof chw);
        else if (f->chw[1] < 1)
            f->chw[1] = f->chw[2] = 1;
    }
    const int64_t n = f->fixed_batch ? f->batch : f->rows;
    TRY(shape_input(f, n, err));
    memset(f->bad, 0, (size_t)f->batch * sizeof *f->bad);
    if (n > f->rows)
        memset(f->input.data, 0, (size_t)clv_tensor_count(&f->input) * sizeof(float));
    return read_items(f, err);
}
