// SPDX-License-Identifier: Apache-2.0
/* Elementwise functions of one float tensor: y = f(x), some with up to two attributes; Neg, Abs and Sign take integers
 * too. */
#include <math.h>
#include <string.h>

#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

/* n elements; p holds the attributes of the row below; x == y is allowed. */
typedef void (*unary_f32)(const float *x, float *y, int64_t n, const float p[2]);

/* y[i] = expr of v = x[i] */
#define EACH(expr)                    \
    for (int64_t i = 0; i < n; i++) { \
        const float v = x[i];         \
        y[i] = (expr);                \
    }                                 \
    (void)p

static float sigmoid(float v)
{
    return 1.0f / (1.0f + expf(-v));
}

static float softplus(float v)
{
    return v > 0 ? v + log1pf(expf(-v)) : log1pf(expf(v));
}

static float clamp01(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void relu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v < 0 ? 0 : v); /* NaN stays NaN */
}

static void leaky_relu(const float *x, float *y, int64_t n, const float p[2])
{
    const float slope = p[0];
    EACH((v < 0 ? 0 : v) + slope * (v < 0 ? v : 0)); /* two selects, no branch: this vectorises */
}

static void thresholded_relu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v > p[0] ? v : 0);
}

static void elu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v < 0 ? p[0] * expm1f(v) : v);
}

static void celu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v < 0 ? p[0] * expm1f(v / p[0]) : v);
}

static void selu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(p[1] * (v <= 0 ? p[0] * expm1f(v) : v));
}

static void sigmoid_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(sigmoid(v));
}

static void hard_sigmoid(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(clamp01(p[0] * v + p[1]));
}

static void hard_swish(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v * clamp01(v * (1.0f / 6) + 0.5f));
}

static void tanh_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(tanhf(v));
}

static void softplus_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(softplus(v));
}

static void softsign(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v / (1.0f + fabsf(v)));
}

static void mish(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v * tanhf(softplus(v)));
}

static void erf_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(erff(v));
}

/* Gelu 20: x * Phi(x), or its tanh approximation. */
static void gelu(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(0.5f * v * (1.0f + erff(v * 0.70710678f)));
}

static void gelu_tanh(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v))));
}

static void exp_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(expf(v));
}

static void log_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(logf(v));
}

static void sqrt_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(sqrtf(v));
}

static void reciprocal(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(1.0f / v);
}

static void neg(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(-v);
}

static void abs_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(fabsf(v));
}

static void sign(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(v > 0 ? 1.0f : v < 0 ? -1.0f : v); /* sign(0) = 0, sign(NaN) = NaN */
}

static void floor_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(floorf(v));
}

static void ceil_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(ceilf(v));
}

static void round_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(rintf(v)); /* half to even, the default rounding mode */
}

static void sin_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(sinf(v));
}

static void cos_f32(const float *x, float *y, int64_t n, const float p[2])
{
    EACH(cosf(v));
}

static const struct unary_def {
    const char *type;
    unary_f32 f32;
    const char *attr[2]; /* NULL: none */
    float absent[2];     /* their defaults */
} unary_defs[] = {
    {"Relu", relu, {0}, {0}},
    {"LeakyRelu", leaky_relu, {"alpha"}, {0.01f}},
    {"ThresholdedRelu", thresholded_relu, {"alpha"}, {1}},
    {"Elu", elu, {"alpha"}, {1}},
    {"Celu", celu, {"alpha"}, {1}},
    {"Selu", selu, {"alpha", "gamma"}, {1.67326319217681884765625f, 1.05070102214813232421875f}},
    {"Sigmoid", sigmoid_f32, {0}, {0}},
    {"HardSigmoid", hard_sigmoid, {"alpha", "beta"}, {0.2f, 0.5f}},
    {"HardSwish", hard_swish, {0}, {0}},
    {"Tanh", tanh_f32, {0}, {0}},
    {"Softplus", softplus_f32, {0}, {0}},
    {"Softsign", softsign, {0}, {0}},
    {"Mish", mish, {0}, {0}},
    {"Erf", erf_f32, {0}, {0}},
    {"Gelu", gelu, {0}, {0}},
    {"Exp", exp_f32, {0}, {0}},
    {"Log", log_f32, {0}, {0}},
    {"Sqrt", sqrt_f32, {0}, {0}},
    {"Reciprocal", reciprocal, {0}, {0}},
    {"Neg", neg, {0}, {0}},
    {"Abs", abs_f32, {0}, {0}},
    {"Sign", sign, {0}, {0}},
    {"Floor", floor_f32, {0}, {0}},
    {"Ceil", ceil_f32, {0}, {0}},
    {"Round", round_f32, {0}, {0}},
    {"Sin", sin_f32, {0}, {0}},
    {"Cos", cos_f32, {0}, {0}},
};

/* The row of the node's operator; the list below and the table above are compared by tests/ops. */
static const struct unary_def *unary_find(const clvi_op_call *call)
{
    for (size_t i = 0; i < sizeof unary_defs / sizeof unary_defs[0]; i++)
        if (!strcmp(unary_defs[i].type, call->node->op_type))
            return &unary_defs[i];
    return NULL;
}

static clv_status unary_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    return clvi_call_same_shape(call, CLV_FLOAT32, err);
}

typedef struct unary_job {
    unary_f32 f32;
    float p[2];
    const float *x;
    float *y;
} unary_job;

static void unary_range(void *ctx, int64_t begin, int64_t end)
{
    const unary_job *job = ctx;
    job->f32(job->x + begin, job->y + begin, end - begin, job->p);
}

static clv_status unary_run(clvi_op_call *call, clv_error *err)
{
    const struct unary_def *def = unary_find(call);
    if (!def)
        return clvi_op_unsupported(call->graph, call->node, err);
    unary_job job = {.f32 = def->f32, .x = call->in[0]->data, .y = call->out[0]->data};
    for (int i = 0; i < 2; i++)
        job.p[i] = def->attr[i] ? clvi_node_float(call->node, def->attr[i], def->absent[i]) : 0;
    if (job.f32 == gelu && !strcmp(clvi_node_string(call->node, "approximate", "none"), "tanh"))
        job.f32 = gelu_tanh;
    clvi_split_range(call->pool, clv_tensor_count(call->out[0]), 16384, unary_range, &job);
    return CLV_OK;
}

static bool always(const clvi_op_call *call)
{
    (void)call;
    return true;
}

/* --- Neg, Abs, Sign also take integers, for shape arithmetic: any signed or unsigned width --------------------------
 */

static clv_status integer_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    const clv_dtype dtype = call->in[0]->dtype;
    if (dtype != CLV_FLOAT32 && !clvi_is_integer(dtype))
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s of %s is not supported", clvi_call_label(call),
                    call->node->op_type, clv_dtype_name(dtype));
    return clvi_call_same_shape(call, dtype, err);
}

static clv_status integer_run(clvi_op_call *call, clv_error *err)
{
    const clv_dtype dtype = call->in[0]->dtype;
    if (dtype == CLV_FLOAT32)
        return unary_run(call, err);
    const bool negate = clvi_node_is(call->node, "Neg"), absolute = clvi_node_is(call->node, "Abs");
    const int64_t n = clv_tensor_count(call->in[0]);
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = clvi_load_int(dtype, call->in[0]->data, i);
        const bool below = v < 0 && dtype != CLV_UINT64;
        const int64_t minus = (int64_t)(0 - (uint64_t)v);
        clvi_store_int(dtype, call->out[0]->data, i,
                       negate     ? minus
                       : absolute ? (below ? minus : v)
                       : below    ? -1
                                  : v != 0);
    }
    return CLV_OK;
}

#define UNARY(name, opset)                                                                       \
    {                                                                                            \
        .type = name, .since = opset, .infer = unary_infer, .run = unary_run, .in_place = always \
    }
#define UNARY_INTEGER(name, opset)                                                                   \
    {                                                                                                \
        .type = name, .since = opset, .infer = integer_infer, .run = integer_run, .in_place = always \
    }

const clvi_op clvi_op_relu = UNARY("Relu", 6);
const clvi_op clvi_op_leaky_relu = UNARY("LeakyRelu", 6);
const clvi_op clvi_op_thresholded_relu = UNARY("ThresholdedRelu", 10);
const clvi_op clvi_op_elu = UNARY("Elu", 6);
const clvi_op clvi_op_celu = UNARY("Celu", 12);
const clvi_op clvi_op_selu = UNARY("Selu", 6);
const clvi_op clvi_op_sigmoid = UNARY("Sigmoid", 6);
const clvi_op clvi_op_hard_sigmoid = UNARY("HardSigmoid", 6);
const clvi_op clvi_op_hard_swish = UNARY("HardSwish", 14);
const clvi_op clvi_op_tanh = UNARY("Tanh", 6);
const clvi_op clvi_op_softplus = UNARY("Softplus", 1);
const clvi_op clvi_op_softsign = UNARY("Softsign", 1);
const clvi_op clvi_op_mish = UNARY("Mish", 18);
const clvi_op clvi_op_erf = UNARY("Erf", 9);
const clvi_op clvi_op_gelu = UNARY("Gelu", 20);
const clvi_op clvi_op_exp = UNARY("Exp", 6);
const clvi_op clvi_op_log = UNARY("Log", 6);
const clvi_op clvi_op_sqrt = UNARY("Sqrt", 6);
const clvi_op clvi_op_reciprocal = UNARY("Reciprocal", 6);
const clvi_op clvi_op_neg = UNARY_INTEGER("Neg", 6);
const clvi_op clvi_op_abs = UNARY_INTEGER("Abs", 6);
const clvi_op clvi_op_sign = UNARY_INTEGER("Sign", 9);
const clvi_op clvi_op_floor = UNARY("Floor", 6);
const clvi_op clvi_op_ceil = UNARY("Ceil", 6);
const clvi_op clvi_op_round = UNARY("Round", 11);
const clvi_op clvi_op_sin = UNARY("Sin", 7);
const clvi_op clvi_op_cos = UNARY("Cos", 7);
