// SPDX-License-Identifier: Apache-2.0
/* Normalisations over channels: BatchNormalization at inference, InstanceNormalization, LRN. */
#include <math.h>
#include <string.h>

#include "ops/op.h"
#include "ops/walk.h"

/* The input [n, c, ...] as planes. */
typedef struct planes {
    int64_t n, c, size;
} planes;

static planes planes_of(const clv_tensor *x)
{
    planes p = {x->dims[0], x->rank > 1 ? x->dims[1] : 1, 1};
    for (int i = 2; i < x->rank; i++)
        p.size *= x->dims[i];
    return p;
}

static int64_t plane_grain(int64_t size)
{
    return 1 + 16384 / (size + 1);
}

static clv_status want_channel_vector(const clvi_op_call *call, size_t i, clv_error *err)
{
    const clv_tensor *t = call->in[i];
    const int64_t c = planes_of(call->in[0]).c;
    TRY(clvi_call_want(call, i, CLV_FLOAT32, err));
    if (t->rank != 1 || t->dims[0] != c)
        return FAIL(
            err, CLV_ERR_FORMAT, "node \"%s\": input %zu of %s has %lld values of rank %d, the data %lld channels",
            clvi_call_label(call), i, call->node->op_type, (long long)clv_tensor_count(t), t->rank, (long long)c);
    return CLV_OK;
}

static bool always(const clvi_op_call *call)
{
    (void)call;
    return true;
}

/* --- BatchNormalization: y = (x - mean) / sqrt(var + epsilon) * scale + bias
 * ------------------------------------------ */

static clv_status batch_norm_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 5, 5, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    if (call->in[0]->rank < 1)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": BatchNormalization of a scalar", clvi_call_label(call));
    for (size_t i = 1; i < 5; i++)
        TRY(want_channel_vector(call, i, err));
    const bool per_activation = call->opset < 9 && clvi_node_int(call->node, "spatial", 1) == 0;
    if (clvi_node_int(call->node, "training_mode", 0) || per_activation)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": BatchNormalization in training mode or not spatial",
                    clvi_call_label(call));
    for (size_t k = 1; k < call->n_out; k++)
        if (call->out[k])
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": BatchNormalization with the outputs of training",
                        clvi_call_label(call));
    return clvi_call_same_shape(call, CLV_FLOAT32, err);
}

/* Written as a * x + b with a = scale / sqrt(var + eps), b = bias - mean * a, both rounded once from double. */
static void batch_norm_planes(void *ctx, int64_t begin, int64_t end)
{
    const clvi_op_call *call = ctx;
    const float *scale = call->in[1]->data, *bias = call->in[2]->data, *mean = call->in[3]->data,
                *var = call->in[4]->data;
    const double eps = (double)clvi_node_float(call->node, "epsilon", 1e-5f);
    const planes p = planes_of(call->in[0]);
    for (int64_t i = begin; i < end; i++) {
        const int64_t c = i % p.c;
        const double a = (double)scale[c] / sqrt((double)var[c] + eps);
        const float fa = (float)a, fb = (float)((double)bias[c] - (double)mean[c] * a);
        const float *x = (const float *)call->in[0]->data + i * p.size;
        float *y = (float *)call->out[0]->data + i * p.size;
        for (int64_t k = 0; k < p.size; k++)
            y[k] = fa * x[k] + fb;
    }
}

static clv_status batch_norm_run(clvi_op_call *call, clv_error *err)
{
    const planes p = planes_of(call->in[0]);
    (void)err;
    clvi_split_range(call->pool, p.n * p.c, plane_grain(p.size), batch_norm_planes, call);
    return CLV_OK;
}

const clvi_op clvi_op_batch_normalization = {
    .type = "BatchNormalization", .since = 7, .infer = batch_norm_infer, .run = batch_norm_run, .in_place = always};

/* --- InstanceNormalization: the same with each plane's own mean and variance
 * --------------------------------------------- */

static clv_status instance_norm_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 3, 3, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    if (call->in[0]->rank < 3)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": InstanceNormalization of rank %d", clvi_call_label(call),
                    call->in[0]->rank);
    TRY(want_channel_vector(call, 1, err));
    TRY(want_channel_vector(call, 2, err));
    return clvi_call_same_shape(call, CLV_FLOAT32, err);
}

static void instance_norm_planes(void *ctx, int64_t begin, int64_t end)
{
    const clvi_op_call *call = ctx;
    const float *scale = call->in[1]->data, *bias = call->in[2]->data;
    const double eps = (double)clvi_node_float(call->node, "epsilon", 1e-5f);
    const planes p = planes_of(call->in[0]);
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)call->in[0]->data + i * p.size;
        float *y = (float *)call->out[0]->data + i * p.size;
        double mean = 0, var = 0;
        for (int64_t k = 0; k < p.size; k++)
            mean += (double)x[k];
        mean /= (double)p.size;
        for (int64_t k = 0; k < p.size; k++)
            var += ((double)x[k] - mean) * ((double)x[k] - mean);
        const double a = (double)scale[i % p.c] / sqrt(var / (double)p.size + eps);
        const float fa = (float)a, fb = (float)((double)bias[i % p.c] - mean * a);
        for (int64_t k = 0; k < p.size; k++)
            y[k] = fa * x[k] + fb;
    }
}

static clv_status instance_norm_run(clvi_op_call *call, clv_error *err)
{
    const planes p = planes_of(call->in[0]);
    (void)err;
    if (p.size)
        clvi_split_range(call->pool, p.n * p.c, plane_grain(p.size), instance_norm_planes, call);
    return CLV_OK;
}

const clvi_op clvi_op_instance_normalization = {.type = "InstanceNormalization",
                                                .since = 6,
                                                .infer = instance_norm_infer,
                                                .run = instance_norm_run,
                                                .in_place = always};

/* --- LRN: y = x / (bias + alpha / size * sum of squares over `size` channels around)^beta
 * ---------------------------------- */

static clv_status lrn_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    const int64_t size = clvi_node_int(call->node, "size", 0);
    if (size < 1 || size > INT32_MAX || call->in[0]->rank < 2)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": LRN of size %lld on rank %d", clvi_call_label(call),
                    (long long)size, call->in[0]->rank);
    return clvi_call_same_shape(call, CLV_FLOAT32, err);
}

static void lrn_planes(void *ctx, int64_t begin, int64_t end)
{
    const clvi_op_call *call = ctx;
    const int64_t size = clvi_node_int(call->node, "size", 1);
    const float alpha = clvi_node_float(call->node, "alpha", 1e-4f) / (float)size;
    const float beta = clvi_node_float(call->node, "beta", 0.75f), bias = clvi_node_float(call->node, "bias", 1);
    const planes p = planes_of(call->in[0]);
    for (int64_t i = begin; i < end; i++) {
        const int64_t c = i % p.c, below = (size - 1) / 2, above = size / 2;
        const int64_t first = c < below ? -c : -below, last = p.c - 1 - c < above ? p.c - 1 - c : above;
        const float *x = (const float *)call->in[0]->data + i * p.size;
        float *y = (float *)call->out[0]->data + i * p.size;
        for (int64_t k = 0; k < p.size; k++) {
            float sum = 0;
            for (int64_t d = first; d <= last; d++)
                sum += x[k + d * p.size] * x[k + d * p.size];
            y[k] = x[k] / powf(bias + alpha * sum, beta);
        }
    }
}

static clv_status lrn_run(clvi_op_call *call, clv_error *err)
{
    const planes p = planes_of(call->in[0]);
    (void)err;
    clvi_split_range(call->pool, p.n * p.c, plane_grain(p.size), lrn_planes, call);
    return CLV_OK;
}

const clvi_op clvi_op_lrn = {.type = "LRN", .since = 1, .infer = lrn_infer, .run = lrn_run};
