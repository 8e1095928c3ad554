/* SPDX-License-Identifier: Apache-2.0 */
/* Where activations and gradients of a lane live. With S nodes, time 0 stages the input, node s runs at s + 1, the loss
 * at S + 1, and node s goes backward at 2 S + 1 - s. */
#include <stdint.h>
#include <string.h>

#include "base/size.h"
#include "runtime/memory_plan.h"
#include "train/plan_private.h"

typedef struct placement {
    clvi_tplan *plan;
    size_t *last;         /* [n_values] time of the last use of the data */
    int32_t *data, *grad; /* [n_values] index into items, or CLVI_NONE */
    clvi_interval *items;
    size_t n;
} placement;

static size_t back_time(const clvi_tplan *plan, size_t s)
{
    return 2 * plan->n_nodes + 1 - s;
}

static bool is_activation(const clvi_tplan *plan, int32_t v)
{
    return v != CLVI_NONE && !plan->shapes.values[v].data;
}

static bool goes_back(const clvi_tplan *plan, const clvi_tnode *t)
{
    for (size_t j = 0; j < t->node->n_out; j++)
        if (t->node->out[j] != CLVI_NONE && plan->live[t->node->out[j]])
            return true;
    return false;
}

static void last_uses(placement *p)
{
    const clvi_tplan *const plan = p->plan;
    for (size_t s = 0; s < plan->n_nodes; s++) {
        const clvi_tnode *const t = &plan->nodes[s];
        const bool back = goes_back(plan, t);
        for (size_t j = 0; j < t->node->n_out; j++)
            if (t->node->out[j] != CLVI_NONE)
                p->last[t->node->out[j]] = clvi_max_size(
                    p->last[t->node->out[j]], back && (t->row->saves & CLVI_SAVE_OUT) ? back_time(plan, s) : s + 1);
        for (size_t j = 0; j < t->node->n_in; j++)
            if (t->node->in[j] != CLVI_NONE)
                p->last[t->node->in[j]] = clvi_max_size(
                    p->last[t->node->in[j]], back && j < 31 && (t->row->saves >> j & 1) ? back_time(plan, s) : s + 1);
    }
    for (size_t i = 0; i < plan->n_heads; i++)
        p->last[plan->heads[i]] = 2 * plan->n_nodes + 2;
}

static clv_status add_item(placement *p, int32_t v, size_t first, size_t last, int32_t *index, clv_error *err)
{
    const int64_t count = clv_tensor_count(&p->plan->shapes.values[v]);
    size_t bytes;
    if (count < 0 || !clvi_mul((size_t)count, sizeof(float), &bytes))
        return FAIL(err, CLV_ERR_NOMEM, "value \"%s\" is too large", p->plan->graph->values[v].name);
    p->items[p->n] = (clvi_interval){.bytes = bytes, .first = first, .last = last};
    *index = (int32_t)p->n++;
    return CLV_OK;
}

static bool same_count(const clvi_tplan *plan, int32_t a, int32_t b)
{
    return clv_tensor_count(&plan->shapes.values[a]) == clv_tensor_count(&plan->shapes.values[b]);
}

static clv_status place_data(placement *p, clv_error *err)
{
    const clvi_tplan *const plan = p->plan;
    TRY(add_item(p, plan->input, 0, p->last[plan->input], &p->data[plan->input], err));
    for (size_t s = 0; s < plan->n_nodes; s++) {
        const clvi_tnode *const t = &plan->nodes[s];
        for (size_t j = 0; j < t->node->n_out; j++) {
            const int32_t v = t->node->out[j];
            if (v == CLVI_NONE)
                continue;
            const int32_t x = t->node->n_in ? t->node->in[0] : CLVI_NONE;
            if (j == 0 && t->row->in_place && is_activation(plan, x) && p->last[x] == s + 1 && same_count(plan, x, v)) {
                p->data[v] = p->data[x];
                p->items[p->data[v]].last = clvi_max_size(p->items[p->data[v]].last, p->last[v]);
            } else {
                TRY(add_item(p, v, s + 1, p->last[v], &p->data[v], err));
            }
        }
    }
    return CLV_OK;
}

static clv_status place_gradients(placement *p, clv_error *err)
{
    const clvi_tplan *const plan = p->plan;
    size_t *const made = clvi_arena_calloc(plan->arena, plan->graph->n_values, sizeof *made); /* by which node */
    if (!made)
        return FAIL(err, CLV_ERR_NOMEM, "%zu values", plan->graph->n_values);
    for (size_t s = 0; s < plan->n_nodes; s++)
        for (size_t j = 0; j < plan->nodes[s].node->n_out; j++)
            if (plan->nodes[s].node->out[j] != CLVI_NONE)
                made[plan->nodes[s].node->out[j]] = s;
    for (size_t i = 0; i < plan->n_heads; i++) {
        const int32_t v = plan->heads[i];
        if (plan->live[v] && p->grad[v] == CLVI_NONE)
            TRY(add_item(p, v, plan->n_nodes + 1, back_time(plan, made[v]), &p->grad[v], err));
    }
    for (size_t s = plan->n_nodes; s-- > 0;) {
        const clvi_tnode *const t = &plan->nodes[s];
        for (size_t j = 0; j < t->node->n_in; j++) {
            const int32_t v = t->node->in[j], y = t->node->out[0];
            if (!t->want[j] || p->grad[v] != CLVI_NONE)
                continue;
            const size_t last = back_time(plan, made[v]);
            if (j == 0 && t->row->in_place && t->node->n_out == 1 && p->grad[y] != CLVI_NONE &&
                same_count(plan, v, y)) {
                p->grad[v] = p->grad[y];
                p->items[p->grad[v]].last = clvi_max_size(p->items[p->grad[v]].last, last);
            } else {
                TRY(add_item(p, v, back_time(plan, s), last, &p->grad[v], err));
            }
        }
    }
    return CLV_OK;
}

static clv_status make_lane(const placement *p, clvi_tlane *lane, size_t bytes, clv_error *err)
{
    clvi_tplan *const plan = p->plan;
    const size_t n = plan->graph->n_values;
    lane->data = clvi_arena_calloc(plan->arena, n + 1, sizeof *lane->data);
    lane->grad = clvi_arena_calloc(plan->arena, n + 1, sizeof *lane->grad);
    lane->dparam = clvi_calloc(plan->size + 1, sizeof(float));
    lane->block = clvi_alloc(bytes);
    if (!lane->data || !lane->grad || !lane->dparam || !lane->block)
        return FAIL(err, CLV_ERR_NOMEM, "%.3g MB of activations for each of %zu lanes: take a smaller batch",
                    (double)bytes * 1e-6, plan->n_lanes);
    for (size_t v = 0; v < n; v++) {
        if (p->data[v] != CLVI_NONE)
            lane->data[v] = (float *)(void *)(lane->block + p->items[p->data[v]].offset);
        else if (plan->param_of[v] != CLVI_NONE)
            lane->data[v] = plan->theta + plan->params[plan->param_of[v]].offset;
        else if (plan->state_of[v] != CLVI_NONE)
            lane->data[v] = plan->state + plan->state_of[v];
        else
            lane->data[v] = plan->shapes.values[v].data;
        if (p->grad[v] != CLVI_NONE)
            lane->grad[v] = (float *)(void *)(lane->block + p->items[p->grad[v]].offset);
    }
    return CLV_OK;
}

clv_status clvi_tplan_place(clvi_tplan *plan, clv_error *err)
{
    const size_t n = plan->graph->n_values;
    placement p = {.plan = plan,
                   .last = clvi_arena_calloc(plan->arena, n + 1, sizeof *p.last),
                   .data = clvi_arena_calloc(plan->arena, n + 1, sizeof *p.data),
                   .grad = clvi_arena_calloc(plan->arena, n + 1, sizeof *p.grad),
                   .items = clvi_arena_calloc(plan->arena, 2 * n + 2, sizeof *p.items)};
    plan->lanes = clvi_arena_calloc(plan->arena, plan->n_lanes, sizeof *plan->lanes);
    plan->status = clvi_arena_calloc(plan->arena, plan->n_lanes, sizeof *plan->status);
    plan->errors = clvi_arena_calloc(plan->arena, plan->n_lanes, sizeof *plan->errors);
    if (!p.last || !p.data || !p.grad || !p.items || !plan->lanes || !plan->status || !plan->errors)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu values", n);
    for (size_t v = 0; v < n; v++)
        p.data[v] = p.grad[v] = CLVI_NONE;
    last_uses(&p);
    TRY(place_data(&p, err));
    TRY(place_gradients(&p, err));
    TRY(clvi_memory_plan(p.items, p.n, &plan->lane_bytes, err));
    size_t all;
    if (!clvi_mul(plan->lane_bytes, plan->n_lanes, &all) || all > clvi_mem_physical())
        return FAIL(err, CLV_ERR_NOMEM, "%.3g MB of activations for each of %zu lanes: take a smaller batch",
                    (double)plan->lane_bytes * 1e-6, plan->n_lanes);
    for (size_t l = 0; l < plan->n_lanes; l++)
        TRY(make_lane(&p, &plan->lanes[l], plan->lane_bytes, err));
    return CLV_OK;
}
