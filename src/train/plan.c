/* SPDX-License-Identifier: Apache-2.0 */
/* From a graph to a plan: which nodes run, which of their inputs are trained, which gradients are wanted. */
#include "train/plan_private.h"

#include <inttypes.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"

/* --- help for operator files ------------------------------------------------------------------------------------- */

const float *clvi_tin(const clvi_tnode *node, const clvi_trun *run, size_t i)
{
    return i < node->node->n_in && node->node->in[i] != CLVI_NONE ? run->lane->data[node->node->in[i]] : NULL;
}

float *clvi_tout(const clvi_tnode *node, const clvi_trun *run, size_t j)
{
    return j < node->node->n_out && node->node->out[j] != CLVI_NONE ? run->lane->data[node->node->out[j]] : NULL;
}

float *clvi_tgrad_in(const clvi_tnode *node, const clvi_trun *run, size_t i)
{
    return i < node->node->n_in && node->want[i] ? run->lane->grad[node->node->in[i]] : NULL;
}

const float *clvi_tgrad_out(const clvi_tnode *node, const clvi_trun *run, size_t j)
{
    return j < node->node->n_out && node->node->out[j] != CLVI_NONE ? run->lane->grad[node->node->out[j]] : NULL;
}

bool clvi_tis_param(const clvi_tnode *node, size_t i)
{
    return i < node->node->n_in && node->node->in[i] != CLVI_NONE &&
           node->plan->param_of[node->node->in[i]] != CLVI_NONE;
}

float *clvi_tparam_grad(const clvi_tnode *node, const clvi_trun *run, size_t i)
{
    if (!clvi_tis_param(node, i))
        return NULL;
    return run->lane->dparam + node->plan->params[node->plan->param_of[node->node->in[i]]].offset;
}

float *clvi_tconstant(const clvi_tnode *node, size_t i)
{
    const clvi_tplan *const plan = node->plan;
    const int32_t v = i < node->node->n_in ? node->node->in[i] : CLVI_NONE;
    if (v == CLVI_NONE)
        return NULL;
    if (plan->param_of[v] != CLVI_NONE)
        return plan->theta + plan->params[plan->param_of[v]].offset;
    if (plan->state_of[v] != CLVI_NONE)
        return plan->state + plan->state_of[v];
    return plan->shapes.values[v].data;
}

void *clvi_tkept(const clvi_tnode *node, const clvi_trun *run)
{
    return node->kept ? node->kept + run->index * clvi_round_up(node->keep, CLV_ALIGN) : NULL;
}

float *clvi_ttemp(const clvi_trun *run)
{
    return run->plan->temp[run->worker];
}

size_t clvi_tlanes(const clvi_tplan *plan)
{
    return (size_t)plan->opts.lanes;
}

size_t clvi_tplan_own_lanes(const clvi_tplan *plan, size_t *first)
{
    *first = plan->first_lane;
    return plan->n_lanes;
}

clvi_dnn *clvi_tdnn(const clvi_tplan *plan)
{
    return (clvi_dnn *)(uintptr_t)&plan->dnn;
}

const clvi_loops *clvi_tloops(const clvi_tplan *plan)
{
    return plan->loops;
}

const char *clvi_tlabel(const clvi_tnode *node)
{
    return clvi_node_label(node->plan->graph, node->node);
}

bool clvi_tplan_is_head(const clvi_tplan *plan, int32_t value)
{
    for (size_t i = 0; i < plan->n_heads; i++)
        if (plan->heads[i] == value)
            return true;
    return false;
}

/* --- which nodes ------------------------------------------------------------------------------------------------- */

static clv_status infer(clvi_tplan *plan, const clv_tensor *input, clv_error *err)
{
    const clvi_graph *const graph = plan->graph;
    if (graph->n_inputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "training needs a network with one input, this one has %zu", graph->n_inputs);
    plan->input = graph->inputs[0];
    clv_tensor shape = *input;
    if (shape.rank < 1 || shape.dtype != CLV_FLOAT32)
        return FAIL(err, CLV_ERR_ARG, "training needs a float32 input [batch, ...]");
    shape.dims[0] = plan->lane_batch;
    shape.data = NULL;
    TRY(clvi_shapes_infer(&plan->shapes, graph, &shape, 1, err));
    plan->arena = plan->shapes.arena;
    return CLV_OK;
}

static clv_status choose_heads(clvi_tplan *plan, clv_error *err)
{
    const bool all = !plan->opts.heads;
    plan->n_heads = all ? plan->graph->n_outputs : plan->opts.n_heads;
    const int32_t *const from = all ? plan->graph->outputs : plan->opts.heads;
    plan->heads = clvi_arena_calloc(plan->arena, plan->n_heads + 1, sizeof *plan->heads);
    if (!plan->heads)
        return FAIL(err, CLV_ERR_NOMEM, "%zu heads", plan->n_heads);
    memcpy(plan->heads, from, plan->n_heads * sizeof *from);
    for (size_t i = 0; i < plan->n_heads; i++) {
        const clv_tensor *const t = &plan->shapes.values[plan->heads[i]];
        if (t->rank < 1 || t->dtype != CLV_FLOAT32 || t->data || t->dims[0] != plan->lane_batch)
            return FAIL(err, CLV_ERR_UNSUP, "value \"%s\" is not a float array with one row for each image",
                        plan->graph->values[plan->heads[i]].name);
    }
    return CLV_OK;
}

static clv_status bind_node(clvi_tplan *plan, size_t index, clv_error *err)
{
    clvi_tnode *const t = &plan->nodes[plan->n_nodes];
    const clvi_node *const node = plan->graph->nodes[index];
    clvi_op_call call;
    *t = (clvi_tnode){.row = clvi_gradient_find(node),
                      .node = node,
                      .plan = plan,
                      .graph = plan->graph,
                      .index = index,
                      .batch_norm = plan->opts.batch_norm};
    if (!t->row)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": operator %s cannot be trained through",
                    clvi_node_label(plan->graph, node), node->op_type);
    TRY(clvi_call_bind(&call, plan->graph, index, &plan->shapes, err));
    t->x = call.in;
    t->y = call.out;
    t->want = clvi_arena_calloc(plan->arena, node->n_in + 1, sizeof *t->want);
    t->add = clvi_arena_calloc(plan->arena, node->n_in + 1, sizeof *t->add);
    if (!t->want || !t->add)
        return FAIL(err, CLV_ERR_NOMEM, "node");
    for (size_t j = 0; j < node->n_out; j++) {
        const clv_tensor *const y = node->out[j] == CLVI_NONE ? NULL : &plan->shapes.values[node->out[j]];
        if (y && (y->rank < 0 || y->dtype != CLV_FLOAT32))
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s gives no float array of known shape", clvi_tlabel(t),
                        node->op_type);
    }
    plan->n_nodes++;
    return CLV_OK;
}

static clv_status choose_nodes(clvi_tplan *plan, clv_error *err)
{
    const clvi_graph *const graph = plan->graph;
    bool *const need = clvi_arena_calloc(plan->arena, graph->n_values, sizeof *need);
    bool *const keep = clvi_arena_calloc(plan->arena, graph->n_nodes, sizeof *keep);
    plan->nodes = clvi_arena_calloc(plan->arena, graph->n_nodes, sizeof *plan->nodes);
    plan->events = clvi_arena_calloc(plan->arena, 6 * graph->n_nodes + 1, sizeof *plan->events);
    if (!need || !keep || !plan->nodes || !plan->events)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu nodes", graph->n_nodes);
    for (size_t i = 0; i < plan->n_heads; i++)
        need[plan->heads[i]] = true;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        const clvi_node *const node = graph->nodes[i];
        for (size_t j = 0; j < node->n_out; j++)
            keep[i] |= node->out[j] != CLVI_NONE && need[node->out[j]] && !plan->shapes.values[node->out[j]].data;
        for (size_t j = 0; j < node->n_in && keep[i]; j++)
            if (node->in[j] != CLVI_NONE)
                need[node->in[j]] = true;
    }
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (keep[i])
            TRY(bind_node(plan, i, err));
    return CLV_OK;
}

/* --- parameters -------------------------------------------------------------------------------------------------- */

static bool is_float_initializer(const clvi_tplan *plan, int32_t v)
{
    const clvi_value *const value = v == CLVI_NONE ? NULL : &plan->graph->values[v];
    return value && value->constant && plan->shapes.values[v].data && plan->shapes.values[v].dtype == CLV_FLOAT32;
}

static void add_param(clvi_tplan *plan, int32_t v)
{
    const clv_tensor *const t = &plan->shapes.values[v];
    const size_t count = (size_t)clv_tensor_count(t);
    if (plan->param_of[v] != CLVI_NONE || count == 0)
        return;
    int wide = 0; /* a bias or a norm has one axis; [C, 1, 1] too */
    for (int d = 0; d < t->rank; d++)
        wide += t->dims[d] > 1;
    plan->param_of[v] = (int32_t)plan->n_params;
    plan->params[plan->n_params++] = (clvi_tparam){.value = v,
                                                   .name = plan->graph->values[v].name,
                                                   .offset = plan->size,
                                                   .count = count,
                                                   .decay = t->rank > 1 && wide > 0};
    plan->size += clvi_round_up(count, 16);
}

static clv_status choose_params(clvi_tplan *plan, clv_error *err)
{
    const size_t n = plan->graph->n_values;
    plan->params = clvi_arena_calloc(plan->arena, n + 1, sizeof *plan->params);
    plan->param_of = clvi_arena_calloc(plan->arena, n + 1, sizeof *plan->param_of);
    plan->state_of = clvi_arena_calloc(plan->arena, n + 1, sizeof *plan->state_of);
    if (!plan->params || !plan->param_of || !plan->state_of)
        return FAIL(err, CLV_ERR_NOMEM, "%zu values", n);
    for (size_t v = 0; v < n; v++)
        plan->param_of[v] = plan->state_of[v] = CLVI_NONE;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        const clvi_tnode *const t = &plan->nodes[i];
        for (size_t j = 0; j < t->node->n_in && j < 31; j++) {
            const int32_t v = t->node->in[j];
            if (plan->opts.backward && (t->row->params >> j & 1) && is_float_initializer(plan, v))
                add_param(plan, v);
            if (plan->opts.batch_norm && (t->row->state >> j & 1) && is_float_initializer(plan, v) &&
                plan->state_of[v] == CLVI_NONE) {
                plan->state_of[v] = (int32_t)plan->n_state;
                plan->n_state += clvi_round_up((size_t)clv_tensor_count(&plan->shapes.values[v]), 16);
            }
        }
    }
    plan->theta = clvi_calloc(plan->size + 1, sizeof(float));
    plan->gradient = clvi_calloc(clvi_tplan_shares(plan) + 1, sizeof(float));
    plan->state = clvi_calloc(plan->n_state + 1, sizeof(float));
    if (!plan->theta || !plan->gradient || !plan->state)
        return FAIL(err, CLV_ERR_NOMEM, "%zu parameters", plan->size);
    for (size_t v = 0; v < n; v++) {
        const size_t bytes = (size_t)clv_tensor_count(&plan->shapes.values[v]) * sizeof(float);
        if (plan->param_of[v] != CLVI_NONE)
            memcpy(plan->theta + plan->params[plan->param_of[v]].offset, plan->shapes.values[v].data, bytes);
        if (plan->state_of[v] != CLVI_NONE)
            memcpy(plan->state + plan->state_of[v], plan->shapes.values[v].data, bytes);
    }
    return CLV_OK;
}

/* wants: what depends on a parameter. live: what the loss reaches. */
static clv_status choose_gradients(clvi_tplan *plan, clv_error *err)
{
    plan->wants = clvi_arena_calloc(plan->arena, plan->graph->n_values, sizeof *plan->wants);
    plan->live = clvi_arena_calloc(plan->arena, plan->graph->n_values, sizeof *plan->live);
    if (!plan->wants || !plan->live)
        return FAIL(err, CLV_ERR_NOMEM, "%zu values", plan->graph->n_values);
    for (size_t i = 0; i < plan->n_nodes; i++) {
        const clvi_node *const node = plan->nodes[i].node;
        bool wants = false;
        for (size_t j = 0; j < node->n_in; j++)
            wants |= node->in[j] != CLVI_NONE && (plan->wants[node->in[j]] || plan->param_of[node->in[j]] != CLVI_NONE);
        for (size_t j = 0; j < node->n_out; j++)
            if (node->out[j] != CLVI_NONE)
                plan->wants[node->out[j]] = wants;
    }
    for (size_t i = 0; i < plan->n_heads && plan->opts.backward; i++)
        plan->live[plan->heads[i]] = plan->wants[plan->heads[i]];
    for (size_t i = plan->n_nodes; i-- > 0;) {
        const clvi_node *const node = plan->nodes[i].node;
        bool live = false;
        for (size_t j = 0; j < node->n_out; j++)
            live |= node->out[j] != CLVI_NONE && plan->live[node->out[j]];
        for (size_t j = 0; j < node->n_in && live; j++) {
            const int32_t v = node->in[j];
            if (v == CLVI_NONE || !plan->wants[v])
                continue;
            plan->nodes[i].want[j] = true;
            plan->nodes[i].add[j] = plan->live[v];
            plan->live[v] = true;
        }
    }
    return CLV_OK;
}

/* --- the order of the work --------------------------------------------------------------------------------------- */

static bool is_live(const clvi_tplan *plan, const clvi_tnode *t)
{
    for (size_t j = 0; j < t->node->n_out; j++)
        if (t->node->out[j] != CLVI_NONE && plan->live[t->node->out[j]])
            return true;
    return false;
}

static void list_events(clvi_tplan *plan)
{
    clvi_tevent *e = plan->events;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        clvi_tnode *const t = &plan->nodes[i];
        if (t->row->gather && t->batch_norm) {
            *e++ = (clvi_tevent){CLVI_T_GATHER, t};
            *e++ = (clvi_tevent){CLVI_T_SETTLE, t};
        }
        *e++ = (clvi_tevent){CLVI_T_FORWARD, t};
    }
    plan->n_forward = (size_t)(e - plan->events);
    *e++ = (clvi_tevent){CLVI_T_LOSS, NULL};
    for (size_t i = plan->n_nodes; i-- > 0 && plan->opts.backward;) {
        clvi_tnode *const t = &plan->nodes[i];
        if (!is_live(plan, t))
            continue;
        if (t->row->gather_back && t->batch_norm) {
            *e++ = (clvi_tevent){CLVI_T_GATHER_BACK, t};
            *e++ = (clvi_tevent){CLVI_T_SETTLE_BACK, t};
        }
        *e++ = (clvi_tevent){CLVI_T_BACKWARD, t};
    }
    plan->n_events = (size_t)(e - plan->events);
}

static clv_status prepare_nodes(clvi_tplan *plan, clv_error *err)
{
    for (size_t i = 0; i < plan->n_nodes; i++) {
        clvi_tnode *const t = &plan->nodes[i];
        TRY(clvi_check_cancel(plan->context, err));
        if (t->row->prepare) {
            const clv_status st = t->row->prepare(t, err);
            if (st != CLV_OK)
                return clvi_fail_at_node(err, st, plan->graph, t->node);
        }
        if (t->keep > 0 && !(t->kept = clvi_calloc(plan->n_lanes, clvi_round_up(t->keep, CLV_ALIGN))))
            return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_tlabel(t));
        plan->temp_floats = clvi_max_size(plan->temp_floats, t->temp);
    }
    plan->temp = clvi_calloc((size_t)plan->workers, sizeof *plan->temp);
    for (int w = 0; plan->temp && w < plan->workers; w++)
        if (!(plan->temp[w] = clvi_alloc_array(plan->temp_floats, sizeof(float))))
            return FAIL(err, CLV_ERR_NOMEM, "%zu floats of scratch", plan->temp_floats);
    if (!plan->temp)
        return FAIL(err, CLV_ERR_NOMEM, "scratch");
    TRY(clvi_dnn_ready(&plan->dnn, err));
    for (size_t i = 0; i < plan->n_nodes; i++)
        if (plan->nodes[i].row->refresh)
            TRY(plan->nodes[i].row->refresh(&plan->nodes[i], 0, err));
    return CLV_OK;
}

static clv_status build(clvi_tplan *plan, const clv_tensor *input, clv_error *err)
{
    TRY(infer(plan, input, err));
    TRY(clvi_dnn_create(&plan->dnn, plan->workers, err));
    TRY(choose_heads(plan, err));
    TRY(choose_nodes(plan, err));
    TRY(choose_params(plan, err));
    TRY(choose_gradients(plan, err));
    list_events(plan);
    TRY(prepare_nodes(plan, err));
    TRY(clvi_tplan_place_whites(plan, err));
    TRY(clvi_tplan_place(plan, err));
    return clvi_tplan_place_shares(plan, err);
}

clv_status clvi_tplan_create(clvi_tplan **out, const clvi_graph *graph, const clv_tensor *input,
                             const clvi_tplan_opts *opts, clv_context *context, clv_error *err)
{
    *out = NULL;
    struct clv_ranks *const ranks = context ? context->opts.ranks : NULL;
    const int count = clv_ranks_count(ranks);
    if (opts->lanes < 1 || opts->batch < opts->lanes || opts->batch % opts->lanes != 0 || opts->lanes % count != 0)
        return FAIL(err, CLV_ERR_ARG, "a batch of %" PRId64 " images cannot be cut into %" PRId64 " lanes for %d ranks",
                    opts->batch, opts->lanes, count);
    clvi_tplan *const plan = clvi_calloc(1, sizeof *plan);
    if (!plan)
        return FAIL(err, CLV_ERR_NOMEM, "training plan");
    plan->graph = graph;
    plan->context = context;
    plan->pool = context ? context->pool : NULL;
    plan->workers = clvi_pool_threads(plan->pool);
    plan->opts = *opts;
    plan->ranks = ranks;
    plan->n_lanes = (size_t)(opts->lanes / count);
    plan->first_lane = plan->n_lanes * (size_t)clv_ranks_number(ranks);
    plan->lane_batch = opts->batch / opts->lanes;
    plan->loops = clvi_loops_for(context ? context->cpu : clvi_cpu_detect());
    const int threads = clvi_dnn_enter();
    const clv_status st = build(plan, input, err);
    clvi_dnn_leave(threads);
    if (st == CLV_OK)
        *out = plan;
    else
        clvi_tplan_free(plan);
    return st;
}

void clvi_tplan_free(clvi_tplan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        if (plan->nodes[i].state && plan->nodes[i].row->release)
            plan->nodes[i].row->release(plan->nodes[i].state);
        clvi_free(plan->nodes[i].kept);
    }
    for (size_t l = 0; l < plan->n_lanes && plan->lanes; l++) {
        clvi_free(plan->lanes[l].block);
        clvi_free(plan->lanes[l].dparam);
    }
    for (int w = 0; w < plan->workers && plan->temp; w++)
        clvi_free(plan->temp[w]);
    clvi_free(plan->temp);
    clvi_dnn_free(&plan->dnn);
    clvi_free(plan->theta);
    clvi_free(plan->gradient);
    clvi_free(plan->state);
    clvi_free(plan->white_state);
    clvi_free(plan->outgoing);
    clvi_free(plan->incoming);
    clvi_shapes_free(&plan->shapes);
    clvi_free(plan);
}

/* --- what callers see -------------------------------------------------------------------------------------------- */

const float *clvi_tplan_head(const clvi_tplan *plan, size_t lane, size_t head)
{
    return plan->lanes[lane].data[plan->heads[head]];
}

float *clvi_tplan_head_gradient(const clvi_tplan *plan, size_t lane, size_t head)
{
    return plan->lanes[lane].grad[plan->heads[head]];
}

const clv_tensor *clvi_tplan_head_shape(const clvi_tplan *plan, size_t head)
{
    return &plan->shapes.values[plan->heads[head]];
}

size_t clvi_tplan_params(const clvi_tplan *plan, const clvi_tparam **list)
{
    *list = plan->params;
    return plan->n_params;
}

size_t clvi_tplan_size(const clvi_tplan *plan)
{
    return plan->size;
}

float *clvi_tplan_theta(const clvi_tplan *plan)
{
    return plan->theta;
}

const float *clvi_tplan_gradient(const clvi_tplan *plan)
{
    return plan->gradient;
}

float *clvi_tplan_state(const clvi_tplan *plan, size_t *count)
{
    *count = plan->n_state;
    return plan->state;
}

size_t clvi_tplan_bytes(const clvi_tplan *plan)
{
    return plan->lane_bytes * plan->n_lanes;
}

/* The tensor of an initializer lies in the graph's arena, which is ours to write in a clone. */
static clv_status store_value(clvi_graph *graph, int32_t v, const float *from, clv_error *err)
{
    const clv_tensor *const t = graph->values[v].constant;
    const size_t n = t ? (size_t)clv_tensor_count(t) : 0;
    if (!t || !t->data || !clvi_floats_to(t->data, t->dtype, from, n))
        return FAIL(err, CLV_ERR_ARG, "value \"%s\" is no floating initializer", graph->values[v].name);
    return CLV_OK;
}

clv_status clvi_tplan_store(const clvi_tplan *plan, const float *theta, clvi_graph *graph, clv_error *err)
{
    for (size_t i = 0; i < plan->n_params; i++)
        TRY(store_value(graph, plan->params[i].value, (theta ? theta : plan->theta) + plan->params[i].offset, err));
    for (size_t v = 0; v < plan->graph->n_values; v++)
        if (plan->state_of[v] != CLVI_NONE)
            TRY(store_value(graph, (int32_t)v, plan->state + plan->state_of[v], err));
    return CLV_OK;
}
