/* SPDX-License-Identifier: Apache-2.0 */
#include "train/guide.h"

#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "runtime/session.h"
#include "train/pairs.h"

struct clvi_guide {
    clvi_session *session;
    clv_context context; /* the caller's, but nobody stops it: a step is whole, on all ranks */
    clv_tensor input;    /* of one lane; data: NULL between runs */
    size_t n_heads, lanes;
    clv_tensor seen[CLVI_MAX_PAIRS]; /* of the lane that ran last */
    float *head[CLVI_MAX_PAIRS];     /* [lanes][count] */
    size_t count[CLVI_MAX_PAIRS];    /* numbers of one lane */
    float *to[CLVI_MAX_PAIRS];       /* where the lane that ran last goes */
};

clv_status clvi_guide_create(clvi_guide **out, const clvi_graph *graph, const int32_t *heads, size_t n_heads,
                             const clv_tensor *input, size_t lanes, clv_context *context, clv_error *err)
{
    const clvi_session_opts opts = {.fetch = heads, .n_fetch = n_heads};
    *out = NULL;
    clvi_guide *const g = clvi_calloc(1, sizeof *g);
    if (!g)
        return FAIL(err, CLV_ERR_NOMEM, "teacher");
    if (context)
        g->context = *context;
    g->context.opts.cancel = NULL;
    g->input = *input;
    g->input.data = NULL;
    g->n_heads = n_heads;
    g->lanes = lanes;
    const clv_status st = clvi_session_create(&g->session, graph, &opts, context ? &g->context : NULL, err);
    if (st == CLV_OK)
        *out = g;
    else
        clvi_guide_free(g);
    return st;
}

void clvi_guide_free(clvi_guide *guide)
{
    if (!guide)
        return;
    clvi_session_free(guide->session);
    for (size_t h = 0; h < guide->n_heads; h++)
        clvi_free(guide->head[h]);
    clvi_free(guide);
}

/* Image number `index` of all heads: [c, h, w] -> [h, w, c]. */
static void keep_task(void *arg, size_t index, int worker)
{
    const clvi_guide *const g = arg;
    (void)worker;
    for (size_t k = 0; k < g->n_heads; k++) {
        const clv_tensor *const t = &g->seen[k];
        const size_t image = g->count[k] / (size_t)g->input.dims[0];
        const float *const from = (const float *)t->data + index * image;
        float *const to = g->to[k] + index * image;
        if (t->rank != 4) {
            memcpy(to, from, image * sizeof *to);
            continue;
        }
        const size_t c = (size_t)t->dims[1], hw = image / c;
        for (size_t i = 0; i < hw; i++)
            for (size_t j = 0; j < c; j++)
                to[i * c + j] = from[j * hw + i];
    }
}

/* Room for what the first run gave. */
static clv_status make_room(clvi_guide *g, clv_error *err)
{
    for (size_t h = 0; h < g->n_heads && !g->head[h]; h++) {
        if (g->seen[h].dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "a value of the teacher is %s, float32 was expected",
                        clv_dtype_name(g->seen[h].dtype));
        g->count[h] = (size_t)clv_tensor_count(&g->seen[h]);
        if (!(g->head[h] = clvi_alloc_array(g->lanes * g->count[h], sizeof(float))))
            return FAIL(err, CLV_ERR_NOMEM, "%zu values of the teacher", g->lanes * g->count[h]);
    }
    return CLV_OK;
}

clv_status clvi_guide_run(clvi_guide *guide, const float *batch, clv_error *err)
{
    clv_tensor in = guide->input;
    const size_t floats = (size_t)clv_tensor_count(&in);
    for (size_t l = 0; l < guide->lanes; l++) {
        in.data = (void *)(uintptr_t)(batch + l * floats);
        TRY(clvi_session_run(guide->session, &in, 1, guide->seen, err));
        TRY(make_room(guide, err));
        for (size_t h = 0; h < guide->n_heads; h++)
            guide->to[h] = guide->head[h] + l * guide->count[h];
        clvi_pool_run(guide->context.pool, (size_t)in.dims[0], keep_task, guide);
    }
    return CLV_OK;
}

const float *clvi_guide_head(const clvi_guide *guide, size_t lane, size_t head)
{
    return guide->head[head] + lane * guide->count[head];
}
