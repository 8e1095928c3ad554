/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm, ONNX 1 to 13: Y[m, n] = alpha op(A) op(B) + beta C, op transposes on request, C broadcasts to [m, n]. */
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_product.h"
#include "ops/op.h"

typedef struct gemm {
    clvi_matrix a, b;
    float alpha, beta;
} gemm;

static clvi_matrix view(const clv_tensor *t, bool transposed)
{
    const size_t rows = (size_t)t->dims[0], columns = (size_t)t->dims[1];
    return transposed ? (clvi_matrix){t->data, columns, rows, 1, columns}
                      : (clvi_matrix){t->data, rows, columns, columns, 1};
}

static gemm read(const clvi_op_call *call)
{
    return (gemm){.a = view(call->in[0], clvi_node_int(call->node, "transA", 0) != 0),
                  .b = view(call->in[1], clvi_node_int(call->node, "transB", 0) != 0),
                  .alpha = clvi_node_float(call->node, "alpha", 1.0f),
                  .beta = clvi_node_float(call->node, "beta", 1.0f)};
}

/* C aligned to the right must be 1 or equal in every dimension. */
static bool broadcasts(const clv_tensor *c, const int64_t dims[2])
{
    for (int i = 0; i < c->rank; i++)
        if (i >= 2 || (c->dims[c->rank - 1 - i] != 1 && c->dims[c->rank - 1 - i] != dims[1 - i]))
            return false;
    return true;
}

static clv_status infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 2, 3, err));
    const clv_tensor *c = clvi_call_in(call, 2);
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i] && call->in[i]->dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu is %s, Gemm computes float32",
                        clvi_call_label(call), i, clv_dtype_name(call->in[i]->dtype));
    if (call->in[0]->rank != 2 || call->in[1]->rank != 2)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Gemm of ranks %d and %d, both must be 2", clvi_call_label(call),
                    call->in[0]->rank, call->in[1]->rank);
    const gemm g = read(call);
    const int64_t dims[2] = {(int64_t)g.a.rows, (int64_t)g.b.columns};
    if (g.a.columns != g.b.rows)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Gemm of [%zu, %zu] and [%zu, %zu]", clvi_call_label(call),
                    g.a.rows, g.a.columns, g.b.rows, g.b.columns);
    if (c && !broadcasts(c, dims))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": C does not broadcast to [%lld, %lld]", clvi_call_label(call),
                    (long long)dims[0], (long long)dims[1]);
    return clvi_call_set_shape(call, call->out[0], CLV_FLOAT32, 2, dims, err);
}

static int64_t macs(const clvi_op_call *call)
{
    const gemm g = read(call);
    int64_t total;
    return clvi_mul_i64(clv_tensor_count(call->out[0]), (int64_t)g.a.columns, &total) ? total : INT64_MAX;
}

static size_t work(const clvi_op_call *call)
{
    const gemm g = read(call);
    return clvi_product_work(g.a.rows, g.b.columns, g.a.columns, call->kernels, clvi_pool_threads(call->pool));
}

static clv_status prepare(clvi_op_call *call, clv_error *err)
{
    const gemm g = read(call);
    return g.b.data ? clvi_product_pack(&g.b, call->kernels, clvi_call_label(call), &call->state, err) : CLV_OK;
}

/* Y = beta * C, broadcast. */
static void start(const clv_tensor *c, float beta, const clv_tensor *y)
{
    const size_t rows = (size_t)y->dims[0], columns = (size_t)y->dims[1];
    const size_t step = c->rank > 0 && c->dims[c->rank - 1] != 1 ? 1 : 0;
    const size_t stride = c->rank > 1 && c->dims[0] != 1 ? (size_t)c->dims[1] : 0;
    const float *from = c->data;
    float *to = y->data;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * columns + j] = beta * from[i * stride + j * step];
}

static clv_status run(clvi_op_call *call, clv_error *err)
{
    const gemm g = read(call);
    const clv_tensor *c = clvi_call_in(call, 2);
    const bool add = c && g.beta != 0.0f;
    const clvi_product product = {.a = g.a,
                                  .b = g.b,
                                  .packed_b = call->state,
                                  .scale = g.alpha,
                                  .c = call->out[0]->data,
                                  .accumulate = add,
                                  .kernels = call->kernels,
                                  .pool = call->pool,
                                  .work = call->work};
    (void)err;
    if (add)
        start(c, g.beta, call->out[0]);
    clvi_product_run(&product);
    return CLV_OK;
}

const clvi_op clvi_op_gemm = {.type = "Gemm",
                              .since = 1,
                              .infer = infer,
                              .run = run,
                              .macs = macs,
                              .work = work,
                              .prepare = prepare,
                              .release = clvi_free};
