/* SPDX-License-Identifier: Apache-2.0 */
/* Reading items: decode and preprocess on the pool, then account for the corrupt ones in the order of the set, so that
 * neither the result nor the message depends on the number of threads. */
#include <string.h>

#include "base/context.h"
#include "base/size.h"
#include "data/dataset.h"
#include "data/preprocess_apply.h"

#define CHUNK 64 /* items between two looks at the cancel flag */

typedef struct result {
    clv_status st;
    clv_error err;
} result;

typedef struct job {
    const clv_dataset *dataset;
    const clv_preprocess *preprocess;
    int64_t first;
    const clv_tensor *out;
    size_t plane; /* floats of one item */
    int64_t done; /* items before this chunk */
    result *results;
} job;

/* Statuses of one damaged item, as opposed to those that end the work. */
static bool is_corrupt(clv_status st)
{
    return st == CLV_ERR_FORMAT || st == CLV_ERR_UNSUP || st == CLV_ERR_IO;
}

static clv_status check_size(const clv_dataset *dataset, const clvi_item *item, const int64_t got[3],
                             const clv_tensor *want, clv_error *err)
{
    if (got[0] == want->dims[1] && got[1] == want->dims[2] && got[2] == want->dims[3])
        return CLV_OK;
    return FAIL(err, CLV_ERR_DATA,
                "\"%s\" of \"%s\" is %lldx%lldx%lld (channels x height x width) after preprocessing, the network takes "
                "%lldx%lldx%lld: set resize or crop",
                item->name, dataset->path, (long long)got[0], (long long)got[1], (long long)got[2],
                (long long)want->dims[1], (long long)want->dims[2], (long long)want->dims[3]);
}

static clv_status read_image(float *to, const job *j, const clvi_item *item, clv_error *err)
{
    clvi_image image = {0};
    int64_t chw[3] = {3, 0, 0};
    clv_status st = j->dataset->source->image(&image, j->dataset, item, err);
    if (st == CLV_OK)
        st = clvi_preprocess_size(j->preprocess, image.height, image.width, chw + 1, err);
    if (st == CLV_OK)
        st = check_size(j->dataset, item, chw, j->out, err);
    if (st == CLV_OK)
        st = clvi_preprocess_apply(j->preprocess, &image, to, err);
    clvi_image_free(&image);
    return st;
}

static void read_item(void *arg, size_t index, int worker)
{
    const job *j = arg;
    const int64_t i = j->done + (int64_t)index;
    const clvi_item *item = &j->dataset->items[j->first + i];
    float *to = (float *)j->out->data + (size_t)i * j->plane;
    result *r = &j->results[index];
    (void)worker;
    r->st = j->dataset->source->tensor ? j->dataset->source->tensor(to, j->dataset, item, &r->err)
                                       : read_image(to, j, item, &r->err);
    if (r->st != CLV_OK)
        memset(to, 0, j->plane * sizeof *to);
}

/* Log, count and judge what a chunk of n items gave. */
static clv_status account(clv_dataset *dataset, const job *j, int64_t n, bool *bad, clv_context *context,
                          clv_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        const result *r = &j->results[i];
        clvi_item *item = &dataset->items[j->first + j->done + i];
        const bool corrupt = is_corrupt(r->st);
        if (r->st != CLV_OK && !corrupt) {
            if (err)
                *err = r->err;
            return r->st;
        }
        if (bad)
            bad[j->done + i] = corrupt;
        if (!corrupt || item->bad)
            continue;
        item->bad = true;
        dataset->bad++;
        clvi_log(context, CLV_LOG_WARNING, "skipped \"%s\" of \"%s\": %s", item->name, dataset->path, r->err.msg);
        if ((double)dataset->bad > dataset->max_bad * (double)dataset->count)
            return FAIL(err, CLV_ERR_DATA,
                        "%lld of the %lld items of \"%s\" are unreadable so far, %g %% may be; the last: \"%s\": %s",
                        (long long)dataset->bad, (long long)dataset->count, dataset->path, 100 * dataset->max_bad,
                        item->name, r->err.msg);
    }
    return CLV_OK;
}

static clv_status check_arguments(const clv_dataset *dataset, int64_t first, int64_t n,
                                  const clv_preprocess *preprocess, const clv_tensor *out, clv_error *err)
{
    if (first < 0 || n < 0 || first > dataset->count || n > dataset->count - first)
        return FAIL(err, CLV_ERR_ARG, "items %lld to %lld asked for, \"%s\" has %lld", (long long)first,
                    (long long)first + n - 1, dataset->path, (long long)dataset->count);
    if (!out || out->dtype != CLV_FLOAT32 || out->rank != 4 || out->dims[0] != n || clv_tensor_count(out) < 0 ||
        (!out->data && clv_tensor_count(out) > 0))
        return FAIL(err, CLV_ERR_ARG, "a float32 batch of rank 4 with %lld items was expected", (long long)n);
    if (dataset->source->tensor) {
        const clvi_npy_header *a = &dataset->array;
        const int64_t chw[3] = {a->dims[1], a->dims[2], a->dims[3]};
        return n > 0 ? check_size(dataset, &dataset->items[first], chw, out, err) : CLV_OK;
    }
    if (!preprocess)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" holds 8-bit images, which need a preprocessing", dataset->path);
    TRY(clv_preprocess_check(preprocess, err));
    if (out->dims[1] != 3)
        return FAIL(err, CLV_ERR_ARG, "images have 3 channels, the batch has %lld", (long long)out->dims[1]);
    return CLV_OK;
}

clv_status clv_dataset_read(clv_dataset *dataset, int64_t first, int64_t n, const clv_preprocess *preprocess,
                            clv_tensor *out, bool *bad, clv_context *context, clv_error *err)
{
    TRY(check_arguments(dataset, first, n, preprocess, out, err));
    job j = {.dataset = dataset, .preprocess = preprocess, .first = first, .out = out};
    j.plane = (size_t)(out->dims[1] * out->dims[2] * out->dims[3]);
    j.results = clvi_alloc_array(CHUNK, sizeof *j.results);
    if (!j.results)
        return FAIL(err, CLV_ERR_NOMEM, "batch of \"%s\"", dataset->path);
    clv_status st = CLV_OK;
    for (; st == CLV_OK && j.done < n; j.done += CHUNK) {
        const int64_t m = n - j.done < CHUNK ? n - j.done : CHUNK;
        if ((st = clvi_check_cancel(context, err)) != CLV_OK)
            break;
        clvi_pool_run(context ? context->pool : NULL, (size_t)m, read_item, &j);
        st = account(dataset, &j, m, bad, context, err);
    }
    clvi_free(j.results);
    return st;
}

clv_status clv_dataset_shape(clv_dataset *dataset, int64_t index, const clv_preprocess *preprocess, int64_t chw[3],
                             clv_error *err)
{
    if (index < 0 || index >= dataset->count)
        return FAIL(err, CLV_ERR_ARG, "item %lld asked for, \"%s\" has %lld", (long long)index, dataset->path,
                    (long long)dataset->count);
    if (dataset->source->tensor) {
        memcpy(chw, dataset->array.dims + 1, 3 * sizeof *chw);
        return CLV_OK;
    }
    if (!preprocess)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" holds 8-bit images, which need a preprocessing", dataset->path);
    TRY(clv_preprocess_check(preprocess, err));
    clvi_image image = {0};
    clv_status st = dataset->source->image(&image, dataset, &dataset->items[index], err);
    if (st == CLV_OK) {
        chw[0] = 3;
        st = clvi_preprocess_size(preprocess, image.height, image.width, chw + 1, err);
    }
    clvi_image_free(&image);
    return is_corrupt(st) ? clvi_fail_prefix(err, CLV_ERR_DATA, dataset->items[index].name) : st;
}
