/* SPDX-License-Identifier: Apache-2.0 */
/* Time in a plan: 0 is when the inputs are staged, step s runs at s + 1, the fetches are returned at n_steps + 1. */
#include "runtime/plan.h"

#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/memory_plan.h"

/* --- which steps ----------------------------------------------------------------------------------------------- */

/* Infer the wanted nodes in order; every one of them must be known. */
static clv_status infer_wanted(clvi_plan *plan, clv_error *err)
{
    const clvi_plan_base *const base = &plan->base;
    clvi_infer infer = {
        .graph = base->graph, .kernels = base->kernels, .pool = base->context ? base->context->pool : NULL};
    clv_status st = clvi_infer_begin(&infer, base->constants, plan->inputs, base->graph->n_inputs, err);
    for (size_t i = 0; i < base->graph->n_nodes && st == CLV_OK; i++)
        if (base->wanted[i])
            st = clvi_infer_node(&infer, i, err);
    for (size_t i = 0; i < base->n_fetch && st == CLV_OK; i++)
        if (infer.shapes.values[base->fetch[i]].rank < 0)
            st = FAIL(err, CLV_ERR_UNSUP, "value \"%s\" is not an array of numbers",
                      base->graph->values[base->fetch[i]].name);
    if (st == CLV_OK)
        plan->shapes = infer.shapes;
    else
        clvi_shapes_free(&infer.shapes);
    return st;
}

static bool is_known(const clvi_plan *plan, int32_t value)
{
    return value == CLVI_NONE || plan->shapes.values[value].data != NULL;
}

/* Of the wanted nodes keep those whose result is not a constant by now and still needed: steps, in order. */
static clv_status choose_steps(clvi_plan *plan, clv_error *err)
{
    const clvi_graph *const graph = plan->base.graph;
    clvi_arena *const arena = plan->shapes.arena;
    bool *const need = clvi_arena_calloc(arena, graph->n_values, sizeof *need);
    bool *const keep = clvi_arena_calloc(arena, graph->n_nodes, sizeof *keep);
    plan->steps = clvi_arena_calloc(arena, graph->n_nodes, sizeof *plan->steps);
    if (!need || !keep || !plan->steps)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu nodes", graph->n_nodes);
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        need[plan->base.fetch[i]] = true;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        const clvi_node *const node = graph->nodes[i];
        for (size_t j = 0; j < node->n_out && plan->base.wanted[i]; j++)
            keep[i] |= !is_known(plan, node->out[j]) && need[node->out[j]];
        for (size_t j = 0; j < node->n_in && keep[i]; j++)
            if (!is_known(plan, node->in[j]))
                need[node->in[j]] = true;
    }
    for (size_t i = 0; i < graph->n_nodes; i++) {
        if (!keep[i])
            continue;
        clvi_step *const step = &plan->steps[plan->n_steps];
        step->node = i;
        step->op = clvi_op_find(graph, graph->nodes[i]);
        TRY(clvi_call_bind(&step->call, graph, i, &plan->shapes, err));
        step->call.pool = plan->base.context ? plan->base.context->pool : NULL;
        step->call.kernels = plan->base.kernels;
        plan->n_steps++;
    }
    return CLV_OK;
}

/* Sizes come from the file and the caller: more than the machine has is refused here, not when it is written. */
static clv_status big_block(void **out, size_t bytes, const char *what, clv_error *err)
{
    const size_t available = clvi_mem_physical();
    if (bytes > available || !(*out = clvi_alloc(bytes)))
        return FAIL(err, CLV_ERR_NOMEM, "%s need %.3g MB, the machine has %.3g MB", what, (double)bytes * 1e-6,
                    (double)available * 1e-6);
    return CLV_OK;
}

/* Packed weights and the shared scratch. Before activations have addresses, so data != NULL still means constant. */
static clv_status prepare_steps(clvi_plan *plan, clv_error *err)
{
    size_t work = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        clvi_step *const step = &plan->steps[s];
        TRY(clvi_check_cancel(plan->base.context, err));
        if (step->op->prepare) {
            const clv_status st = step->op->prepare(&step->call, err);
            if (st != CLV_OK)
                return clvi_fail_at_node(err, st, step->call.graph, step->call.node);
        }
        if (step->op->work)
            work = clvi_max_size(work, step->op->work(&step->call));
    }
    if (work == 0)
        return CLV_OK;
    TRY(big_block(&plan->work, work, "scratch", err));
    for (size_t s = 0; s < plan->n_steps; s++)
        plan->steps[s].call.work = plan->work;
    return CLV_OK;
}

/* --- which memory ---------------------------------------------------------------------------------------------- */

/* Values that need memory, while it is being given out. */
typedef struct placement {
    clvi_plan *plan;
    size_t *last;         /* [n_values] time of the last use */
    int32_t *buffer;      /* [n_values] index into items, or CLVI_NONE: constants, inputs used in place */
    clvi_interval *items; /* values share one where an operator works in place */
    size_t n_items;
    int32_t *input_item;  /* [n_inputs] staged inputs */
    int32_t *return_item; /* [n_fetch] */
} placement;

static bool is_fetched(const clvi_plan_base *base, int32_t value)
{
    for (size_t i = 0; i < base->n_fetch; i++)
        if (base->fetch[i] == value)
            return true;
    return false;
}

static int32_t add_item(placement *p, size_t bytes, size_t first, size_t last)
{
    p->items[p->n_items] = (clvi_interval){.bytes = bytes, .first = first, .last = last};
    return (int32_t)p->n_items++;
}

static void find_last_uses(placement *p)
{
    const clvi_plan *const plan = p->plan;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const clvi_node *const node = plan->steps[s].call.node;
        for (size_t i = 0; i < node->n_in; i++)
            if (node->in[i] != CLVI_NONE)
                p->last[node->in[i]] = s + 1;
    }
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        p->last[plan->base.fetch[i]] = plan->n_steps + 1;
}

/* An input is copied when its type must change or when it is fetched, since fetches outlive the caller's array. */
static void place_inputs(placement *p)
{
    const clvi_plan *const plan = p->plan;
    for (size_t i = 0; i < plan->base.graph->n_inputs; i++) {
        const int32_t v = plan->base.graph->inputs[i];
        const clv_tensor *const t = &plan->shapes.values[v];
        size_t bytes;
        p->input_item[i] = CLVI_NONE;
        if (t->rank < 0 || !clvi_tensor_bytes(t, &bytes))
            continue;
        if (t->dtype != plan->inputs[i].dtype || is_fetched(&plan->base, v))
            p->buffer[v] = p->input_item[i] = add_item(p, bytes, 0, p->last[v]);
    }
}

/* May output 0 of step s take over the memory of input 0? Only when that was made by a step or staged, ends here, is
 * read here once and is no fetch (whose last use is after all steps). */
static bool takes_over(const placement *p, size_t s)
{
    const clvi_step *const step = &p->plan->steps[s];
    const clvi_node *const node = step->call.node;
    size_t in_bytes, out_bytes, reads = 0;
    if (!step->op->in_place || node->n_in == 0 || node->n_out == 0 || node->in[0] == CLVI_NONE ||
        node->out[0] == CLVI_NONE)
        return false;
    for (size_t i = 0; i < node->n_in; i++)
        reads += node->in[i] == node->in[0];
    return reads == 1 && p->buffer[node->in[0]] != CLVI_NONE && p->last[node->in[0]] == s + 1 &&
           clvi_tensor_bytes(step->call.in[0], &in_bytes) && clvi_tensor_bytes(step->call.out[0], &out_bytes) &&
           in_bytes == out_bytes && step->op->in_place(&step->call);
}

static void place_step(placement *p, size_t s)
{
    const clvi_node *const node = p->plan->steps[s].call.node;
    const bool shared = takes_over(p, s);
    for (size_t i = 0; i < node->n_out; i++) {
        const int32_t v = node->out[i];
        size_t bytes;
        if (v == CLVI_NONE || !clvi_tensor_bytes(&p->plan->shapes.values[v], &bytes))
            continue;
        const size_t last = clvi_max_size(p->last[v], s + 1); /* an output that nobody reads lives for its step */
        if (i == 0 && shared) {
            p->buffer[v] = p->buffer[node->in[0]];
            p->items[p->buffer[v]].last = last;
        } else {
            p->buffer[v] = add_item(p, bytes, s + 1, last);
        }
    }
}

/* A fetch that is a graph output comes back in the floating type that is declared for it. */
static clv_dtype returned_dtype(const clvi_plan *plan, int32_t value)
{
    const clvi_value *const v = &plan->base.graph->values[value];
    const clv_dtype computed = plan->shapes.values[value].dtype;
    return v->is_output && computed == CLV_FLOAT32 && clvi_compute_dtype(v->dtype) == CLV_FLOAT32 ? v->dtype : computed;
}

static void place_returns(placement *p)
{
    const clvi_plan *const plan = p->plan;
    for (size_t i = 0; i < plan->base.n_fetch; i++) {
        clv_tensor t = plan->shapes.values[plan->base.fetch[i]];
        const clv_dtype dtype = returned_dtype(plan, plan->base.fetch[i]);
        size_t bytes;
        p->return_item[i] = CLVI_NONE;
        if (dtype == t.dtype)
            continue;
        t.dtype = dtype;
        if (clvi_tensor_bytes(&t, &bytes))
            p->return_item[i] = add_item(p, bytes, plan->n_steps + 1, plan->n_steps + 1);
    }
}

static clv_status place_all(placement *p, clv_error *err)
{
    clvi_plan *const plan = p->plan;
    find_last_uses(p);
    place_inputs(p);
    for (size_t s = 0; s < plan->n_steps; s++)
        place_step(p, s);
    place_returns(p);
    TRY(clvi_memory_plan(p->items, p->n_items, &plan->block_bytes, err));
    return big_block(&plan->block, plan->block_bytes, "activations", err);
}

static void *address(const placement *p, int32_t item)
{
    return item == CLVI_NONE ? NULL : (char *)p->plan->block + p->items[item].offset;
}

static clv_status place_activations(clvi_plan *plan, clv_error *err)
{
    const clvi_graph *const graph = plan->base.graph;
    clvi_arena *const arena = plan->shapes.arena;
    placement p = {.plan = plan};
    size_t n_items = graph->n_inputs + plan->base.n_fetch;
    for (size_t s = 0; s < plan->n_steps; s++)
        n_items += plan->steps[s].call.n_out;
    p.last = clvi_arena_calloc(arena, graph->n_values, sizeof *p.last);
    p.buffer = clvi_arena_calloc(arena, graph->n_values, sizeof *p.buffer);
    p.items = clvi_arena_calloc(arena, n_items, sizeof *p.items);
    p.input_item = clvi_arena_calloc(arena, graph->n_inputs, sizeof *p.input_item);
    p.return_item = clvi_arena_calloc(arena, plan->base.n_fetch, sizeof *p.return_item);
    plan->staged = clvi_arena_calloc(arena, graph->n_inputs, sizeof *plan->staged);
    plan->returned = clvi_arena_calloc(arena, plan->base.n_fetch, sizeof *plan->returned);
    if (!p.last || !p.buffer || !p.items || !p.input_item || !p.return_item || !plan->staged || !plan->returned)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu values", graph->n_values);
    for (size_t v = 0; v < graph->n_values; v++)
        p.buffer[v] = CLVI_NONE;
    TRY(place_all(&p, err));
    for (size_t v = 0; v < graph->n_values; v++)
        if (p.buffer[v] != CLVI_NONE)
            plan->shapes.values[v].data = address(&p, p.buffer[v]);
    for (size_t i = 0; i < graph->n_inputs; i++)
        plan->staged[i] = address(&p, p.input_item[i]);
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        plan->returned[i] = address(&p, p.return_item[i]);
    return CLV_OK;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

clv_status clvi_plan_create(clvi_plan **out, const clvi_plan_base *base, const clv_tensor *inputs, clv_error *err)
{
    clv_status st = CLV_OK;
    *out = NULL;
    clvi_plan *plan = clvi_calloc(1, sizeof *plan);
    clv_tensor *const key = clvi_calloc(base->graph->n_inputs, sizeof *key);
    if (!plan || !key) {
        st = FAIL(err, CLV_ERR_NOMEM, "plan");
        clvi_free(key);
        goto out;
    }
    plan->base = *base;
    plan->inputs = key;
    for (size_t i = 0; i < base->graph->n_inputs; i++) {
        key[i] = base->wanted_input[i] ? inputs[i] : (clv_tensor){.rank = -1};
        key[i].data = NULL;
    }
    if ((st = infer_wanted(plan, err)) != CLV_OK || (st = choose_steps(plan, err)) != CLV_OK ||
        (st = prepare_steps(plan, err)) != CLV_OK || (st = place_activations(plan, err)) != CLV_OK)
        goto out;
    *out = plan;
    plan = NULL;
out:
    clvi_plan_free(plan);
    return st;
}

void clvi_plan_free(clvi_plan *plan)
{
    if (!plan)
        return;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].op->release && plan->steps[s].call.state)
            plan->steps[s].op->release(plan->steps[s].call.state);
    clvi_free(plan->work);
    clvi_free(plan->block);
    clvi_free(plan->inputs);
    clvi_shapes_free(&plan->shapes);
    clvi_free(plan);
}

bool clvi_plan_fits(const clvi_plan *plan, const clv_tensor *inputs)
{
    for (size_t i = 0; i < plan->base.graph->n_inputs; i++) {
        const clv_tensor *const a = &plan->inputs[i], *const b = &inputs[i];
        if (a->rank < 0)
            continue;
        if (a->rank != b->rank || a->dtype != b->dtype ||
            memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0)
            return false;
    }
    return true;
}

/* --- running --------------------------------------------------------------------------------------------------- */

static void stage_inputs(clvi_plan *plan, const clv_tensor *inputs)
{
    for (size_t i = 0; i < plan->base.graph->n_inputs; i++) {
        clv_tensor *const to = &plan->shapes.values[plan->base.graph->inputs[i]];
        size_t bytes;
        if (plan->inputs[i].rank < 0 || !clvi_tensor_bytes(to, &bytes))
            continue;
        if (!plan->staged[i])
            to->data = inputs[i].data;
        else if (inputs[i].dtype != to->dtype)
            (void)clvi_floats_from(to->data, inputs[i].dtype, inputs[i].data, bytes / sizeof(float));
        else if (bytes > 0)
            memcpy(to->data, inputs[i].data, bytes);
    }
}

static void return_fetches(const clvi_plan *plan, clv_tensor *outputs)
{
    for (size_t i = 0; i < plan->base.n_fetch; i++) {
        const clv_tensor *const from = &plan->shapes.values[plan->base.fetch[i]];
        outputs[i] = *from;
        if (!plan->returned[i])
            continue;
        outputs[i].dtype = returned_dtype(plan, plan->base.fetch[i]);
        outputs[i].data = plan->returned[i];
        (void)clvi_floats_to(outputs[i].data, outputs[i].dtype, from->data, (size_t)clv_tensor_count(from));
    }
}

clv_status clvi_plan_run(clvi_plan *plan, const clv_tensor *inputs, clv_tensor *outputs, double *node_seconds,
                         clv_error *err)
{
    stage_inputs(plan, inputs);
    for (size_t s = 0; s < plan->n_steps; s++) {
        clvi_step *const step = &plan->steps[s];
        TRY(clvi_check_cancel(plan->base.context, err));
        const double start = node_seconds ? clvi_now() : 0;
        const clv_status st = step->op->run(&step->call, err);
        if (st != CLV_OK)
            return clvi_fail_at_node(err, st, step->call.graph, step->call.node);
        if (node_seconds)
            node_seconds[step->node] += clvi_now() - start;
    }
    return_fetches(plan, outputs);
    return CLV_OK;
}
