/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul, ONNX 1 to 13, NumPy's meaning: Y[..., m, n] = A[..., m, k] B[..., k, n], leading dimensions broadcast, a 1-D
 * operand is a row (left) or a column (right) and its dimension is absent from Y. */
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_product.h"
#include "ops/op.h"

typedef struct matmul {
    clv_tensor a, b;         /* with 1-D operands made 2-D */
    bool row, column;        /* which were */
    clvi_matrix left, right; /* of the first matrix of each */
} matmul;

static matmul read(const clvi_op_call *call)
{
    matmul m = {.a = *call->in[0], .b = *call->in[1]};
    if (m.a.rank == 1) {
        m.row = true;
        m.a.rank = 2;
        m.a.dims[1] = m.a.dims[0];
        m.a.dims[0] = 1;
    }
    if (m.b.rank == 1) {
        m.column = true;
        m.b.rank = 2;
        m.b.dims[1] = 1;
    }
    const size_t rows = (size_t)m.a.dims[m.a.rank - 2], k = (size_t)m.a.dims[m.a.rank - 1];
    const size_t columns = (size_t)m.b.dims[m.b.rank - 1];
    m.left = (clvi_matrix){m.a.data, rows, k, k, 1};
    m.right = (clvi_matrix){m.b.data, (size_t)m.b.dims[m.b.rank - 2], columns, columns, 1};
    return m;
}

static clv_tensor leading(const clv_tensor *t)
{
    clv_tensor lead = *t;
    lead.rank -= 2;
    return lead;
}

static clv_status infer(clvi_op_call *call, clv_error *err)
{
    clv_tensor y = {.dtype = CLV_FLOAT32};
    TRY(clvi_call_arity(call, 2, 2, err));
    for (size_t i = 0; i < 2; i++) {
        if (call->in[i]->dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu is %s, MatMul computes float32",
                        clvi_call_label(call), i, clv_dtype_name(call->in[i]->dtype));
        if (call->in[i]->rank < 1)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of MatMul is a scalar", clvi_call_label(call), i);
    }
    const matmul m = read(call);
    if (m.left.columns != m.right.rows)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": MatMul of [%zu, %zu] and [%zu, %zu]", clvi_call_label(call),
                    m.left.rows, m.left.columns, m.right.rows, m.right.columns);
    const clv_tensor a = leading(&m.a), b = leading(&m.b);
    TRY(clvi_call_broadcast(call, &a, &b, &y, err));
    if (!m.row)
        y.dims[y.rank++] = (int64_t)m.left.rows;
    if (!m.column)
        y.dims[y.rank++] = (int64_t)m.right.columns;
    return clvi_call_set_shape(call, call->out[0], CLV_FLOAT32, y.rank, y.dims, err);
}

/* One matrix on the right for all on the left: one tall product. */
static bool is_shared(const matmul *m)
{
    return m->b.rank == 2 && m->a.rank > 2;
}

static size_t rows_of(const matmul *m)
{
    size_t rows = m->left.rows;
    for (int i = 0; is_shared(m) && i < m->a.rank - 2; i++)
        rows *= (size_t)m->a.dims[i];
    return rows;
}

static int64_t macs(const clvi_op_call *call)
{
    const matmul m = read(call);
    int64_t total;
    return clvi_mul_i64(clv_tensor_count(call->out[0]), (int64_t)m.left.columns, &total) ? total : INT64_MAX;
}

static size_t work(const clvi_op_call *call)
{
    const matmul m = read(call);
    return clvi_product_work(rows_of(&m), m.right.columns, m.left.columns, call->kernels,
                             clvi_pool_threads(call->pool));
}

static clv_status prepare(clvi_op_call *call, clv_error *err)
{
    const matmul m = read(call);
    if (!m.b.data || m.b.rank != 2)
        return CLV_OK;
    return clvi_product_pack(&m.right, call->kernels, clvi_call_label(call), &call->state, err);
}

/* Which matrix of t serves the index-th matrix of the output, whose leading dimensions are dims[0..rank). */
static size_t matrix_at(const clv_tensor *t, const int64_t *dims, int rank, size_t index)
{
    size_t at = 0, stride = 1;
    for (int i = 0; i < rank; i++) {
        const size_t coordinate = index % (size_t)dims[rank - 1 - i];
        index /= (size_t)dims[rank - 1 - i];
        const int axis = t->rank - 3 - i;
        if (axis < 0)
            break;
        at += t->dims[axis] == 1 ? 0 : coordinate * stride;
        stride *= (size_t)t->dims[axis];
    }
    return at;
}

static clv_status run(clvi_op_call *call, clv_error *err)
{
    const matmul m = read(call);
    const clv_tensor *y = call->out[0];
    const int lead = is_shared(&m) ? 0 : y->rank - !m.row - !m.column;
    size_t count = 1;
    clvi_product p = {.a = m.left,
                      .b = m.right,
                      .packed_b = call->state,
                      .scale = 1.0f,
                      .kernels = call->kernels,
                      .pool = call->pool,
                      .work = call->work};
    (void)err;
    if (clv_tensor_count(y) == 0)
        return CLV_OK;
    for (int i = 0; i < lead; i++)
        count *= (size_t)y->dims[i];
    p.a.rows = rows_of(&m);
    for (size_t i = 0; i < count; i++) {
        p.a.data = m.left.data + matrix_at(&m.a, y->dims, lead, i) * m.left.rows * m.left.columns;
        p.b.data = m.right.data + matrix_at(&m.b, y->dims, lead, i) * m.right.rows * m.right.columns;
        p.c = (float *)y->data + i * p.a.rows * m.right.columns;
        clvi_product_run(&p);
    }
    return CLV_OK;
}

const clvi_op clvi_op_matmul = {.type = "MatMul",
                                .since = 1,
                                .infer = infer,
                                .run = run,
                                .macs = macs,
                                .work = work,
                                .prepare = prepare,
                                .release = clvi_free};
