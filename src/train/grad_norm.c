/* SPDX-License-Identifier: Apache-2.0 */
/* BatchNormalization over channels-last rows, with the statistics of the whole batch (all lanes) or, without
 * batch_norm, as the affine map that its running statistics make of it.
 *
 *   y = g h + b,  h = (x - mean) / sqrt(var + eps)
 *   dx = g / sqrt(var + eps) (dy - mean(dy) - h mean(dy h))    [statistics of the batch]
 *
 * Sums in float64: the mean of the squares less the square of the mean loses no more than float32 has. Running
 * variances are unbiased, as torch tracks them. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "train/node.h"

typedef struct norm_state {
    size_t rows, c; /* of a lane */
    double eps, momentum;
    double *sums;         /* [lanes][2][c] */
    float *mean, *inv;    /* [c] of the batch, or running */
    float *scale, *shift; /* y = x scale + shift */
    float *a, *b, *d;     /* dx = a dy + b x + d */
    double *whole;        /* [2][c] */
} norm_state;

static void release(void *state)
{
    norm_state *const s = state;
    clvi_free(s->sums);
    clvi_free(s->mean);
    clvi_free(s->whole);
    clvi_free(s);
}

/* The affine map of the running statistics. */
static void fold(const clvi_tnode *node)
{
    norm_state *const s = node->state;
    const float *const g = clvi_tconstant(node, 1), *const b = clvi_tconstant(node, 2);
    const float *const mean = clvi_tconstant(node, 3), *const var = clvi_tconstant(node, 4);
    for (size_t i = 0; i < s->c; i++) {
        s->mean[i] = mean[i];
        s->inv[i] = (float)(1 / sqrt((double)var[i] + s->eps));
        s->scale[i] = g[i] * s->inv[i];
        s->shift[i] = b[i] - mean[i] * s->scale[i];
        s->a[i] = s->scale[i];
        s->b[i] = s->d[i] = 0;
    }
}

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const x = node->x[0];
    norm_state *const s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "BatchNormalization");
    node->state = s;
    if (x->rank != 4 && x->rank != 2)
        return FAIL(err, CLV_ERR_UNSUP, "BatchNormalization of rank %d cannot be trained through", x->rank);
    for (size_t i = 1; i < 5; i++)
        if (!clvi_tconstant(node, i))
            return FAIL(err, CLV_ERR_UNSUP, "BatchNormalization whose input %zu is computed cannot be trained", i);
    s->c = (size_t)x->dims[1];
    s->rows = s->c ? (size_t)clv_tensor_count(x) / s->c : 0;
    s->eps = (double)clvi_node_float(node->node, "epsilon", 1e-5F);
    s->momentum = (double)clvi_node_float(node->node, "momentum", 0.9F);
    s->sums = clvi_calloc(2 * clvi_tlanes(node->plan) * s->c, sizeof *s->sums);
    s->whole = clvi_calloc(2 * s->c, sizeof *s->whole);
    s->mean = clvi_calloc(7 * s->c, sizeof *s->mean);
    if (!s->sums || !s->whole || !s->mean)
        return FAIL(err, CLV_ERR_NOMEM, "BatchNormalization of %zu channels", s->c);
    node->shared = s->sums;
    node->shared_bytes = 2 * s->c * sizeof *s->sums;
    s->inv = s->mean + s->c;
    s->scale = s->inv + s->c;
    s->shift = s->scale + s->c;
    s->a = s->shift + s->c;
    s->b = s->a + s->c;
    s->d = s->b + s->c;
    return CLV_OK;
}

static clv_status refresh(clvi_tnode *node, int worker, clv_error *err)
{
    (void)worker;
    (void)err;
    if (!node->batch_norm)
        fold(node);
    return CLV_OK;
}

static void gather(const clvi_tnode *node, clvi_trun *run)
{
    const norm_state *const s = node->state;
    double *const sums = s->sums + run->number * 2 * s->c;
    memset(sums, 0, 2 * s->c * sizeof *sums);
    clvi_tloops(node->plan)->moments(sums, sums + s->c, clvi_tin(node, run, 0), s->rows, s->c);
}

/* Sums of all lanes, in order. */
static void add_lanes(const clvi_tnode *node)
{
    const norm_state *const s = node->state;
    memset(s->whole, 0, 2 * s->c * sizeof *s->whole);
    for (size_t l = 0; l < clvi_tlanes(node->plan); l++)
        for (size_t i = 0; i < 2 * s->c; i++)
            s->whole[i] += s->sums[l * 2 * s->c + i];
}

static void settle(clvi_tnode *node)
{
    norm_state *const s = node->state;
    const float *const g = clvi_tconstant(node, 1), *const b = clvi_tconstant(node, 2);
    float *const running_mean = clvi_tconstant(node, 3), *const running_var = clvi_tconstant(node, 4);
    const double n = (double)s->rows * (double)clvi_tlanes(node->plan);
    add_lanes(node);
    for (size_t i = 0; i < s->c; i++) {
        const double mean = s->whole[i] / n, var = fmax(0, s->whole[s->c + i] / n - mean * mean);
        const double inv = 1 / sqrt(var + s->eps);
        s->mean[i] = (float)mean;
        s->inv[i] = (float)inv;
        s->scale[i] = (float)((double)g[i] * inv);
        s->shift[i] = (float)((double)b[i] - mean * (double)g[i] * inv);
        running_mean[i] = (float)(s->momentum * (double)running_mean[i] + (1 - s->momentum) * mean);
        running_var[i] = (float)(s->momentum * (double)running_var[i] + (1 - s->momentum) * var * n / fmax(1, n - 1));
    }
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const norm_state *const s = node->state;
    (void)err;
    clvi_tloops(node->plan)->affine(clvi_tout(node, run, 0), clvi_tin(node, run, 0), s->scale, s->shift, s->rows, s->c);
    return CLV_OK;
}

static void gather_back(const clvi_tnode *node, clvi_trun *run)
{
    const norm_state *const s = node->state;
    double *const sums = s->sums + run->number * 2 * s->c;
    memset(sums, 0, 2 * s->c * sizeof *sums);
    clvi_tloops(node->plan)
        ->norm_sums(sums, sums + s->c, clvi_tgrad_out(node, run, 0), clvi_tin(node, run, 0), s->mean, s->inv, s->rows,
                    s->c);
    float *const dg = clvi_tparam_grad(node, run, 1), *const db = clvi_tparam_grad(node, run, 2);
    for (size_t i = 0; i < s->c && db; i++)
        db[i] += (float)sums[i];
    for (size_t i = 0; i < s->c && dg; i++)
        dg[i] += (float)sums[s->c + i];
}

/* dx = gi (dy - m1 - (x - mean) inv m2) = gi dy - gi inv m2 x + gi (mean inv m2 - m1),  gi = g inv. */
static void settle_back(clvi_tnode *node)
{
    norm_state *const s = node->state;
    const float *const g = clvi_tconstant(node, 1);
    const double n = (double)s->rows * (double)clvi_tlanes(node->plan);
    add_lanes(node);
    for (size_t i = 0; i < s->c; i++) {
        const double inv = (double)s->inv[i], gi = (double)g[i] * inv;
        const double m1 = s->whole[i] / n, m2 = s->whole[s->c + i] / n;
        s->a[i] = (float)gi;
        s->b[i] = (float)(-gi * inv * m2);
        s->d[i] = (float)(gi * ((double)s->mean[i] * inv * m2 - m1));
    }
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const norm_state *const s = node->state;
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    if (!node->batch_norm && (clvi_tis_param(node, 1) || clvi_tis_param(node, 2)))
        gather_back(node, run);
    if (dx)
        clvi_tloops(node->plan)
            ->norm_back(dx, clvi_tgrad_out(node, run, 0), clvi_tin(node, run, 0),
                        (const float *const[3]){s->a, s->b, s->d}, s->rows, s->c, node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_batch_normalization = {.type = "BatchNormalization",
                                                         .saves = 1u,
                                                         .params = 6u,
                                                         .state = 24u,
                                                         .prepare = prepare,
                                                         .release = release,
                                                         .refresh = refresh,
                                                         .gather = gather,
                                                         .settle = settle,
                                                         .gather_back = gather_back,
                                                         .settle_back = settle_back,
                                                         .forward = forward,
                                                         .backward = backward,
                                                         .in_place = 1};
