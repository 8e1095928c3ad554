/* SPDX-License-Identifier: Apache-2.0 */
#include "train/held_out.h"

#include <inttypes.h>
#include <string.h>

#include "base/context.h"
#include "base/mem.h"
#include "base/size.h"

#define MAX_HELD 2000

clv_status clvi_held_out_choose(clvi_held_out *out, int64_t count, int64_t wanted, int64_t batch, clv_error *err)
{
    int64_t held = wanted ? wanted : count / 10 < MAX_HELD ? count / 10 : MAX_HELD;
    if (held < 1)
        held = 1;
    *out = (clvi_held_out){0};
    if (count - held < batch)
        return FAIL(err, CLV_ERR_DATA,
                    "%" PRId64 " images, %" PRId64 " of them held out, are too few for a batch of "
                    "%" PRId64,
                    count, held, batch);
    out->items = clvi_alloc_array((size_t)count, sizeof *out->items);
    if (!out->items)
        return FAIL(err, CLV_ERR_NOMEM, "%" PRId64 " images", count);
    out->n = held;
    out->n_train = count - held;
    int64_t train = 0, aside = 0;
    for (int64_t i = 0; i < count; i++) {
        const bool take = aside < held && (int64_t)(((double)aside + 0.5) * (double)count / (double)held) == i;
        if (take)
            out->items[out->n_train + aside++] = i;
        else if (train < out->n_train)
            out->items[train++] = i;
    }
    while (aside < held) /* rounding: never met, but every place must be filled */
        out->items[out->n_train + aside++] = count - 1;
    return CLV_OK;
}

clv_status clvi_held_out_read(clvi_held_out *h, clv_dataset *images, const clv_preprocess *preprocess,
                              const clv_tensor *input, clv_context *context, clv_error *err)
{
    const int64_t batch = input->dims[0];
    const size_t image = (size_t)(clv_tensor_count(input) / batch);
    int64_t *const items = h->items + h->n_train;
    int64_t kept = 0;
    size_t floats;
    if (!clvi_mul((size_t)((h->n + batch - 1) / batch * batch), image, &floats) ||
        !(h->images = clvi_alloc_array(floats, sizeof(float))))
        return FAIL(err, CLV_ERR_NOMEM, "%" PRId64 " held-out images", h->n);
    for (int64_t i = 0; i < h->n; i++) {
        bool bad = false;
        clv_tensor one = *input;
        one.dims[0] = 1;
        one.data = h->images + (size_t)kept * image;
        TRY(clv_dataset_read(images, items[i], 1, preprocess, &one, &bad, context, err));
        items[kept] = items[i];
        kept += !bad;
        TRY(clvi_check_cancel(context, err));
    }
    h->n = kept;
    if (kept < 1)
        return FAIL(err, CLV_ERR_DATA, "none of the held-out images can be read");
    for (int64_t i = kept; i < (kept + batch - 1) / batch * batch; i++)
        memcpy(h->images + (size_t)i * image, h->images + (size_t)((i - kept) % kept) * image, image * sizeof(float));
    return CLV_OK;
}

void clvi_held_out_free(clvi_held_out *h)
{
    clvi_free(h->items);
    clvi_free(h->images);
    *h = (clvi_held_out){0};
}

clv_status clvi_held_out_input(clv_tensor *out, const clvi_held_out *h, const clvi_graph *graph, clv_dataset *images,
                               const clv_preprocess *preprocess, int64_t batch, clv_error *err)
{
    int64_t chw[3];
    TRY(clv_dataset_shape(images, h->items[0], preprocess, chw, err));
    *out = (clv_tensor){CLV_FLOAT32, 4, {batch, chw[0], chw[1], chw[2]}, NULL};
    const clvi_value *const v = &graph->values[graph->inputs[0]];
    for (int d = 1; d < 4 && v->rank == 4; d++)
        if (v->dims[d] > 0 && v->dims[d] != chw[d - 1])
            return FAIL(err, CLV_ERR_DATA,
                        "images are %" PRId64 " x %" PRId64 " x %" PRId64 ", input \"%s\" takes %" PRId64 " x %" PRId64
                        " x %" PRId64,
                        chw[0], chw[1], chw[2], v->name, v->dims[1], v->dims[2], v->dims[3]);
    return CLV_OK;
}
