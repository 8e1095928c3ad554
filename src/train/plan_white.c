/* SPDX-License-Identifier: Apache-2.0 */
/* Which parameters of a plan move by clvi_white_move. */
#include "train/plan_private.h"
#include "train/white.h"

static clvi_white *add(clvi_tplan *plan, clvi_white *w, int32_t weight, int32_t bias)
{
    w->weight = plan->params[weight].offset;
    plan->params[weight].white = true;
    w->has_bias = bias != CLVI_NONE;
    if (w->has_bias) {
        w->bias = plan->params[bias].offset;
        plan->params[bias].white = true;
    }
    plan->white[plan->n_white++] = w;
    return w;
}

clv_status clvi_twhiten(clvi_white **out, clvi_tnode *node, const clvi_conv_shape *shape, clv_error *err)
{
    clvi_tplan *const plan = node->plan;
    *out = NULL;
    if (!plan->opts.whiten || !clvi_tis_param(node, 1))
        return CLV_OK;
    const int32_t weight = plan->param_of[node->node->in[1]];
    const int32_t bias = clvi_tis_param(node, 2) ? plan->param_of[node->node->in[2]] : CLVI_NONE;
    if (plan->params[weight].white || (bias != CLVI_NONE && plan->params[bias].white))
        return CLV_OK; /* shared with another convolution */
    if (!plan->white && !(plan->white = clvi_arena_calloc(plan->arena, plan->n_nodes, sizeof(clvi_white *))))
        return FAIL(err, CLV_ERR_NOMEM, "%zu nodes", plan->n_nodes);
    clvi_white *w;
    TRY(clvi_white_create(&w, shape, clvi_tlanes(plan), err));
    *out = w ? add(plan, w, weight, bias) : NULL;
    return CLV_OK;
}

clv_status clvi_tplan_place_whites(clvi_tplan *plan, clv_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->n_white; i++)
        plan->n_white_state += clvi_white_state(plan->white[i]);
    plan->white_state = clvi_calloc(plan->n_white_state + 1, sizeof *plan->white_state);
    if (!plan->white_state)
        return FAIL(err, CLV_ERR_NOMEM, "%zu moments", plan->n_white_state);
    for (size_t i = 0; i < plan->n_white; i++) {
        clvi_white_bind(plan->white[i], plan->white_state + at);
        at += clvi_white_state(plan->white[i]);
    }
    return CLV_OK;
}

double *clvi_tplan_white_state(const clvi_tplan *plan, size_t *count)
{
    *count = plan->n_white_state;
    return plan->white_state;
}

size_t clvi_tplan_whites(const clvi_tplan *plan, struct clvi_white *const **list)
{
    *list = plan->white;
    return plan->n_white;
}
