// SPDX-License-Identifier: Apache-2.0
/* Elementwise operators with a shape of their own: Clip, PRelu, Pow, Not, Where. */
#include <math.h>
#include <string.h>

#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

static bool always(const clvi_op_call *call)
{
    (void)call;
    return true;
}

/* --- Clip: y = min(max(x, lo), hi); bounds are attributes below opset 11, optional scalar inputs from there
 * ------------ */

static clv_status clip_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 3, err));
    const clv_dtype dtype = call->in[0]->dtype;
    if (dtype != CLV_FLOAT32 && !clvi_is_integer(dtype))
        return clvi_call_want(call, 0, CLV_FLOAT32, err);
    for (size_t i = 1; i < call->n_in; i++)
        if (call->in[i] && (call->in[i]->dtype != dtype || clv_tensor_count(call->in[i]) != 1))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": bound %zu of Clip must be one %s, found %lld of %s",
                        clvi_call_label(call), i, clv_dtype_name(dtype), (long long)clv_tensor_count(call->in[i]),
                        clv_dtype_name(call->in[i]->dtype));
    return clvi_call_same_shape(call, dtype, err);
}

typedef struct clip_job {
    const float *x;
    float *y, lo, hi;
} clip_job;

static void clip_range(void *ctx, int64_t begin, int64_t end)
{
    const clip_job *job = ctx;
    const float lo = job->lo, hi = job->hi;
    for (int64_t i = begin; i < end; i++) {
        const float v = job->x[i] < lo ? lo : job->x[i];
        job->y[i] = v > hi ? hi : v;
    }
}

static bool below(clv_dtype dtype, int64_t a, int64_t b)
{
    return dtype == CLV_UINT64 ? (uint64_t)a < (uint64_t)b : a < b;
}

static void clip_integers(const clvi_op_call *call, const clv_tensor *lo, const clv_tensor *hi)
{
    const clv_dtype dtype = call->in[0]->dtype;
    const int64_t n = clv_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = clvi_load_int(dtype, call->in[0]->data, i);
        if (lo && below(dtype, v, clvi_load_int(dtype, lo->data, 0)))
            v = clvi_load_int(dtype, lo->data, 0);
        if (hi && below(dtype, clvi_load_int(dtype, hi->data, 0), v))
            v = clvi_load_int(dtype, hi->data, 0);
        clvi_store_int(dtype, call->out[0]->data, i, v);
    }
}

static clv_status clip_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *lo = clvi_call_in(call, 1), *hi = clvi_call_in(call, 2);
    (void)err;
    if (call->in[0]->dtype != CLV_FLOAT32) {
        clip_integers(call, lo, hi);
        return CLV_OK;
    }
    clip_job job = {call->in[0]->data, call->out[0]->data, -INFINITY, INFINITY};
    job.lo = lo ? *(const float *)lo->data : clvi_node_float(call->node, "min", job.lo);
    job.hi = hi ? *(const float *)hi->data : clvi_node_float(call->node, "max", job.hi);
    clvi_split_range(call->pool, clv_tensor_count(call->out[0]), 65536, clip_range, &job);
    return CLV_OK;
}

const clvi_op clvi_op_clip = {.type = "Clip", .since = 6, .infer = clip_infer, .run = clip_run, .in_place = always};

/* --- PRelu: y = x < 0 ? slope * x : x, the slope broadcast to x
 * -------------------------------------------------------- */

static clv_status prelu_infer(clvi_op_call *call, clv_error *err)
{
    clv_tensor shape = {0};
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    TRY(clvi_call_want(call, 1, CLV_FLOAT32, err));
    TRY(clvi_call_broadcast(call, call->in[0], call->in[1], &shape, err));
    TRY(clvi_call_same_shape(call, CLV_FLOAT32, err));
    if (clv_tensor_count(&shape) != clv_tensor_count(call->in[0]) || shape.rank != call->in[0]->rank)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the slope of PRelu is larger than its input",
                    clvi_call_label(call));
    return CLV_OK;
}

static void prelu_row(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    float *y = (float *)p[0];
    const float *x = (const float *)p[1], *slope = (const float *)p[2];
    const int64_t ss = stride[2] / (int64_t)sizeof(float);
    (void)ctx;
    if (ss == 0) {
        const float s = slope[0];
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] < 0 ? 0 : x[i]) + s * (x[i] < 0 ? x[i] : 0); /* two selects, no branch: this vectorises */
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] < 0 ? x[i] * slope[i * ss] : x[i];
    }
}

static clv_status prelu_run(clvi_op_call *call, clv_error *err)
{
    clvi_walk w = clvi_walk_over(call->out[0]->rank, call->out[0]->dims);
    (void)err;
    clvi_walk_add_tensor(&w, call->out[0]);
    clvi_walk_add_tensor(&w, call->in[0]);
    clvi_walk_add_tensor(&w, call->in[1]);
    clvi_walk_run(&w, call->pool, prelu_row, NULL);
    return CLV_OK;
}

const clvi_op clvi_op_prelu = {.type = "PRelu", .since = 7, .infer = prelu_infer, .run = prelu_run, .in_place = always};

/* --- Pow: base and exponent of any two number types; the result has the base's
 * ----------------------------------------- */

static clv_status pow_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 2, 2, err));
    for (size_t i = 0; i < 2; i++)
        if (!clvi_is_integer(call->in[i]->dtype))
            TRY(clvi_call_want(call, i, CLV_FLOAT32, err));
    TRY(clvi_call_broadcast(call, call->in[0], call->in[1], call->out[0], err));
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, call->out[0]->rank, call->out[0]->dims, err);
}

static void pow_row_f32(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    float *y = (float *)p[0];
    const float *x = (const float *)p[1], *e = (const float *)p[2];
    const int64_t sx = stride[1] / (int64_t)sizeof(float), se = stride[2] / (int64_t)sizeof(float);
    (void)ctx;
    if (se == 0 && (double)e[0] == 2.0)
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i * sx] * x[i * sx];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = powf(x[i * sx], e[i * se]);
}

/* Integer powers wrap on overflow; a negative exponent gives what 1 / x^|e| truncates to. */
static int64_t power_of_ints(int64_t x, int64_t e)
{
    if (e < 0)
        return x == 1 ? 1 : x == -1 ? (e & 1 ? -1 : 1) : 0;
    uint64_t r = 1, b = (uint64_t)x;
    for (; e; e >>= 1, b *= b)
        if (e & 1)
            r *= b;
    return (int64_t)r;
}

static void pow_row_mixed(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    const clvi_op_call *call = ctx;
    const clv_dtype tx = call->in[0]->dtype, te = call->in[1]->dtype;
    for (int64_t i = 0; i < n; i++) {
        char *y = p[0] + i * stride[0];
        const char *x = p[1] + i * stride[1], *e = p[2] + i * stride[2];
        if (clvi_is_integer(tx) && clvi_is_integer(te))
            clvi_store_int(tx, y, 0, power_of_ints(clvi_load_int(tx, x, 0), clvi_load_int(te, e, 0)));
        else
            clvi_store_double(tx, y, 0, pow(clvi_load_double(tx, x, 0), clvi_load_double(te, e, 0)));
    }
}

static clv_status pow_run(clvi_op_call *call, clv_error *err)
{
    const bool floats = call->in[0]->dtype == CLV_FLOAT32 && call->in[1]->dtype == CLV_FLOAT32;
    clvi_walk w = clvi_walk_over(call->out[0]->rank, call->out[0]->dims);
    (void)err;
    clvi_walk_add_tensor(&w, call->out[0]);
    clvi_walk_add_tensor(&w, call->in[0]);
    clvi_walk_add_tensor(&w, call->in[1]);
    clvi_walk_run(&w, call->pool, floats ? pow_row_f32 : pow_row_mixed, call);
    return CLV_OK;
}

const clvi_op clvi_op_pow = {.type = "Pow", .since = 7, .infer = pow_infer, .run = pow_run};

/* --- Not
 * ---------------------------------------------------------------------------------------------------------------- */

static clv_status not_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_BOOL, err));
    return clvi_call_same_shape(call, CLV_BOOL, err);
}

static clv_status not_run(clvi_op_call *call, clv_error *err)
{
    const uint8_t *x = call->in[0]->data;
    uint8_t *y = call->out[0]->data;
    const int64_t n = clv_tensor_count(call->in[0]);
    (void)err;
    for (int64_t i = 0; i < n; i++)
        y[i] = !x[i];
    return CLV_OK;
}

const clvi_op clvi_op_not = {.type = "Not", .since = 1, .infer = not_infer, .run = not_run, .in_place = always};

/* --- Where: condition ? x : y, all three broadcast, any element size
 * ----------------------------------------------------- */

static clv_status where_infer(clvi_op_call *call, clv_error *err)
{
    clv_tensor shape = {0};
    TRY(clvi_call_arity(call, 3, 3, err));
    TRY(clvi_call_want(call, 0, CLV_BOOL, err));
    if (call->in[1]->dtype != call->in[2]->dtype || !clv_dtype_size(call->in[1]->dtype))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the branches of Where are %s and %s", clvi_call_label(call),
                    clv_dtype_name(call->in[1]->dtype), clv_dtype_name(call->in[2]->dtype));
    TRY(clvi_call_broadcast(call, call->in[1], call->in[2], &shape, err));
    TRY(clvi_call_broadcast(call, call->in[0], &shape, &shape, err));
    return clvi_call_set_shape(call, call->out[0], call->in[1]->dtype, shape.rank, shape.dims, err);
}

static void where_row(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    const size_t element = *(const size_t *)ctx;
    for (int64_t i = 0; i < n; i++) {
        const int branch = p[1][i * stride[1]] ? 2 : 3;
        memcpy(p[0] + i * stride[0], p[branch] + i * stride[branch], element);
    }
}

static clv_status where_run(clvi_op_call *call, clv_error *err)
{
    size_t element = clv_dtype_size(call->out[0]->dtype);
    clvi_walk w = clvi_walk_over(call->out[0]->rank, call->out[0]->dims);
    (void)err;
    clvi_walk_add_tensor(&w, call->out[0]);
    for (size_t i = 0; i < 3; i++)
        clvi_walk_add_tensor(&w, call->in[i]);
    clvi_walk_run(&w, call->pool, where_row, &element);
    return CLV_OK;
}

const clvi_op clvi_op_where = {.type = "Where", .since = 9, .infer = where_infer, .run = where_run};
