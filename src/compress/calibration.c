/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/calibration.h"

#include <string.h>

#include "base/mem.h"

static clv_status check_shape(const clvi_value *input, const int64_t chw[3], const char *name, clv_error *err)
{
    const bool fits = input->rank == 4 && (input->dims[1] < 0 || input->dims[1] == chw[0]) &&
                      (input->dims[2] < 0 || input->dims[2] == chw[1]) &&
                      (input->dims[3] < 0 || input->dims[3] == chw[2]);
    if (input->rank < 0 || fits)
        return CLV_OK;
    return FAIL(err, CLV_ERR_DATA,
                "image \"%s\" becomes [%lld, %lld, %lld], input \"%s\" wants rank %d with [%lld, %lld, %lld]: check "
                "the preprocessing",
                name, (long long)chw[0], (long long)chw[1], (long long)chw[2], input->name, input->rank,
                (long long)input->dims[1], (long long)input->dims[2], (long long)input->dims[3]);
}

clv_status clvi_calibration_create(clvi_calibration *out, const clvi_graph *graph, clv_dataset *data,
                                   const clv_preprocess *preprocess, size_t memory, int64_t shard, int64_t shards,
                                   clv_context *context, clv_error *err)
{
    int64_t chw[3];
    *out =
        (clvi_calibration){.data = data, .preprocess = preprocess, .context = context, .room = {.free_bytes = memory}};
    out->images = clv_dataset_count(data);
    if (graph->n_inputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "the network has %zu inputs, calibration needs exactly one", graph->n_inputs);
    if (out->images < 1 || out->images > INT32_MAX)
        return FAIL(err, CLV_ERR_DATA, "%lld calibration images, 1 to 2^31 - 1 were expected", (long long)out->images);
    if (shards < 1 || shard < 0 || shard >= shards || shards > out->images)
        return FAIL(err, CLV_ERR_ARG, "shard %lld of %lld over %lld images", (long long)shard, (long long)shards,
                    (long long)out->images);
    out->first = out->images * shard / shards; /* all below 2^31 */
    out->end = out->images * (shard + 1) / shards;
    const clvi_value *input = &graph->values[graph->inputs[0]];
    TRY(clv_dataset_shape(data, out->first, preprocess, chw, err));
    TRY(check_shape(input, chw, clv_dataset_name(data, out->first), err));
    out->input = (clv_tensor){.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, chw[0], chw[1], chw[2]}};
    out->fixed_batch = input->rank == 4 && input->dims[0] > 0 ? input->dims[0] : 0;
    const size_t bytes = (size_t)clv_tensor_count(&out->input) * sizeof(float),
                 images = (size_t)(out->end - out->first);
    if (bytes <= out->room.free_bytes / 2 / images)
        TRY(clvi_spill_create(&out->pixels, images, bytes, &out->room, err));
    out->decoded = out->first;
    out->bad = clvi_calloc((size_t)out->images, sizeof *out->bad);
    if (out->bad)
        return CLV_OK;
    clvi_calibration_free(out);
    return FAIL(err, CLV_ERR_NOMEM, "%lld calibration images", (long long)out->images);
}

void clvi_calibration_free(clvi_calibration *c)
{
    clvi_free(c->bad);
    clvi_spill_free(c->pixels);
    c->bad = NULL;
    c->pixels = NULL;
}

/* One by one from where they stand. */
static clv_status read_spread(clvi_calibration *c, int64_t first, int64_t n, float *to, clv_error *err)
{
    clv_tensor input = c->input;
    const int64_t count = clv_tensor_count(&c->input);
    for (int64_t i = first; i < first + n; i++) {
        input.data = to + (i - first) * count;
        TRY(clv_dataset_read(c->data, c->offset + i * c->spread / c->images, 1, c->preprocess, &input, c->bad + i,
                             c->context, err));
    }
    return CLV_OK;
}

clv_status clvi_calibration_read(clvi_calibration *c, int64_t first, int64_t n, float *to, clv_error *err)
{
    clv_tensor input = c->input;
    input.dims[0] = n;
    input.data = to;
    if (c->spread)
        return read_spread(c, first, n, to, err);
    if (c->pixels && first + n <= c->decoded)
        return clvi_spill_read(c->pixels, (size_t)(first - c->first), (size_t)n, to, err);
    TRY(clv_dataset_read(c->data, first, n, c->preprocess, &input, c->bad + first, c->context, err));
    if (!c->pixels || first != c->decoded)
        return CLV_OK;
    c->decoded += n;
    return clvi_spill_write(c->pixels, (size_t)(first - c->first), (size_t)n, to, err);
}

clvi_places clvi_places_of(const clvi_calibration *c, const clvi_site *site, size_t index, int64_t samples)
{
    clvi_places p = {.images = c->images, .pixels = site->shape.oh * site->shape.ow, .seed = c->seed, .site = index};
    const int64_t all = p.images > INT64_MAX / p.pixels ? INT64_MAX : p.images * p.pixels;
    const int64_t most = samples < c->samples ? samples : c->samples;
    p.rows = all < most ? all : most;
    return p;
}

int64_t clvi_places_first_row(const clvi_places *p, int64_t image)
{
    return image * p->rows / p->images; /* both below 2^31, see clvi_calibration_create */
}

int64_t clvi_places_rows_here(const clvi_places *p, const clvi_calibration *c)
{
    return clvi_places_first_row(p, c->end) - clvi_places_first_row(p, c->first);
}

void clvi_places_start(const clvi_places *p, clvi_rng *rng, int64_t image)
{
    clvi_rng_seed_stream(rng, p->seed + 0x9e3779b97f4a7c15u * (p->site + 1), (uint64_t)image);
}

int64_t clvi_places_next(const clvi_places *p, clvi_rng *rng, int64_t j, int64_t count)
{
    const int64_t from = j * p->pixels / count, to = (j + 1) * p->pixels / count;
    return from + (int64_t)clvi_rng_below(rng, (uint64_t)(to - from));
}
