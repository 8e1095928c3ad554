/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul, on oneDNN's sgemm.
 *
 *   Y = alpha A op(B) + beta C,   dA = alpha dY op(B)^T,   dB = alpha A^T dY (or its transpose),   dC = beta sum dY
 *
 * MatMul: B is a matrix that all rows of A share, or A and B are stacks of as many matrices. */
#include <string.h>

#include "base/mem.h"
#include "train/node.h"

typedef struct matmul_state {
    int64_t stacks, m, n, k;
    bool tb;
    bool shared_b; /* one B for all stacks */
    float alpha, beta;
    size_t c_rows, c_cols; /* of C: 0 none, 1 repeated */
} matmul_state;

static void release(void *state)
{
    clvi_free(state);
}

static clv_status gemm_prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const a = node->x[0], *const b = node->x[1];
    matmul_state *const s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "Gemm");
    node->state = s;
    if (clvi_node_int(node->node, "transA", 0) || a->rank != 2 || b->rank != 2 || a->data)
        return FAIL(err, CLV_ERR_UNSUP, "Gemm with a constant or transposed A cannot be trained through");
    s->tb = clvi_node_int(node->node, "transB", 0) != 0;
    s->stacks = 1;
    s->shared_b = true;
    s->m = a->dims[0];
    s->k = a->dims[1];
    s->n = b->dims[s->tb ? 0 : 1];
    s->alpha = clvi_node_float(node->node, "alpha", 1);
    s->beta = clvi_node_float(node->node, "beta", 1);
    if (node->node->n_in > 2 && node->x[2]) {
        const clv_tensor *const c = node->x[2];
        s->c_cols = c->rank < 1 ? 1 : (size_t)c->dims[c->rank - 1];
        s->c_rows = c->rank < 2 ? 1 : (size_t)c->dims[0];
        if (!c->data || s->c_rows != 1)
            return FAIL(err, CLV_ERR_UNSUP, "Gemm whose C is not one constant row cannot be trained through");
    }
    return CLV_OK;
}

static clv_status matmul_prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const a = node->x[0], *const b = node->x[1];
    matmul_state *const s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "MatMul");
    node->state = s;
    s->alpha = 1;
    if (a->rank < 2 || b->rank < 2 || a->rank == 4 || b->rank == 4 || a->data)
        return FAIL(err, CLV_ERR_UNSUP, "MatMul of ranks %d and %d cannot be trained through", a->rank, b->rank);
    s->k = a->dims[a->rank - 1];
    s->n = b->dims[b->rank - 1];
    s->shared_b = b->rank == 2;
    if (s->shared_b) {
        s->stacks = 1;
        s->m = s->k ? clv_tensor_count(a) / s->k : 0;
        return CLV_OK;
    }
    if (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)(a->rank - 2) * sizeof *a->dims) != 0 || b->data)
        return FAIL(err, CLV_ERR_UNSUP, "MatMul that repeats a stack cannot be trained through");
    s->m = a->dims[a->rank - 2];
    s->stacks = 1;
    for (int d = 0; d < a->rank - 2; d++)
        s->stacks *= a->dims[d];
    return CLV_OK;
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const matmul_state *const s = node->state;
    const float *const a = clvi_tin(node, run, 0), *const b = clvi_tin(node, run, 1), *const c = clvi_tin(node, run, 2);
    float *const y = clvi_tout(node, run, 0);
    for (int64_t i = 0; i < s->stacks; i++)
        TRY(clvi_dnn_gemm('N', s->tb ? 'T' : 'N', s->m, s->n, s->k, s->alpha, a + i * s->m * s->k, s->k,
                          b + i * s->k * s->n, s->tb ? s->k : s->n, 0, y + i * s->m * s->n, s->n, err));
    for (int64_t r = 0; r < s->m && c; r++)
        for (int64_t j = 0; j < s->n; j++)
            y[r * s->n + j] += s->beta * c[s->c_cols == 1 ? 0 : j];
    return CLV_OK;
}

static clv_status b_back(const clvi_tnode *node, clvi_trun *run, float *db, float keep, clv_error *err)
{
    const matmul_state *const s = node->state;
    const float *const a = clvi_tin(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    for (int64_t i = 0; i < s->stacks; i++) {
        const float *const ai = a + i * s->m * s->k, *const di = dy + i * s->m * s->n;
        float *const to = db + i * s->k * s->n;
        if (s->tb)
            TRY(clvi_dnn_gemm('T', 'N', s->n, s->k, s->m, s->alpha, di, s->n, ai, s->k, keep, to, s->k, err));
        else
            TRY(clvi_dnn_gemm('T', 'N', s->k, s->n, s->m, s->alpha, ai, s->k, di, s->n, keep, to, s->n, err));
    }
    return CLV_OK;
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const matmul_state *const s = node->state;
    const float *const b = clvi_tin(node, run, 1), *const dy = clvi_tgrad_out(node, run, 0);
    float *const da = clvi_tgrad_in(node, run, 0), *const db = clvi_tgrad_in(node, run, 1);
    float *const dc = clvi_tparam_grad(node, run, 2);
    if (clvi_tis_param(node, 1))
        TRY(b_back(node, run, clvi_tparam_grad(node, run, 1), 1, err));
    if (db)
        TRY(b_back(node, run, db, node->add[1] ? 1 : 0, err));
    for (int64_t r = 0; r < s->m && dc; r++)
        for (int64_t j = 0; j < s->n; j++)
            dc[s->c_cols == 1 ? 0 : j] += s->beta * dy[r * s->n + j];
    for (int64_t i = 0; i < s->stacks && da; i++)
        TRY(clvi_dnn_gemm('N', s->tb ? 'N' : 'T', s->m, s->k, s->n, s->alpha, dy + i * s->m * s->n, s->n,
                          b + i * s->k * s->n, s->tb ? s->k : s->n, node->add[0] ? 1 : 0, da + i * s->m * s->k, s->k,
                          err));
    return CLV_OK;
}

const clvi_gradient clvi_gradient_gemm = {.type = "Gemm",
                                          .saves = 3u,
                                          .params = 6u,
                                          .prepare = gemm_prepare,
                                          .release = release,
                                          .forward = forward,
                                          .backward = backward};
const clvi_gradient clvi_gradient_matmul = {.type = "MatMul",
                                            .saves = 3u,
                                            .params = 2u,
                                            .prepare = matmul_prepare,
                                            .release = release,
                                            .forward = forward,
                                            .backward = backward};
