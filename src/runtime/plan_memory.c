/* SPDX-License-Identifier: Apache-2.0 */
/* Time in a plan: 0 is when the inputs are staged, step s runs at s + 1, the fetches are returned at n_steps + 1. */
#include <string.h>

#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"

/* Values that need memory, while it is being given out. */
typedef struct placement {
    clvi_plan *plan;
    size_t *last;         /* [slots] time of the last use */
    int32_t *buffer;      /* [slots] index into items, or CLVI_NONE: constants, inputs used in place */
    clvi_interval *items; /* values share one where an operator works in place */
    size_t n_items;
    int32_t *input_item;  /* [n_inputs] staged inputs */
    int32_t *return_item; /* [n_fetch] */
} placement;

static int32_t add_item(placement *p, size_t bytes, size_t first, size_t last)
{
    p->items[p->n_items] = (clvi_interval){.bytes = bytes, .first = first, .last = last};
    return (int32_t)p->n_items++;
}

static void find_last_uses(placement *p)
{
    const clvi_plan *const plan = p->plan;
    for (size_t s = 0; s < plan->n_steps; s++)
        for (size_t i = 0; i < plan->steps[s].n_reads; i++)
            if (plan->steps[s].reads[i] != CLVI_NONE)
                p->last[plan->steps[s].reads[i]] = s + 1;
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
        if (t->dtype != plan->inputs[i].dtype || clvi_plan_fetches(&plan->base, v))
            p->buffer[v] = p->input_item[i] = add_item(p, bytes, 0, p->last[v]);
    }
}

/* Which read's memory may write 0 of step s take over? An operator that works in place its first input's, a pixel step
 * that of what it adds; only when that was made by a step or staged, ends here, is read here once and is no fetch
 * (whose last use is after all steps). CLVI_NONE: no one's. */
static int32_t takes_over(const placement *p, size_t s)
{
    const clvi_step *const step = &p->plan->steps[s];
    const size_t from = step->pixel ? 1 : 0;
    size_t in_bytes, out_bytes, reads = 0;
    if (step->n_reads <= from || step->n_writes == 0 || step->writes[0] == CLVI_NONE ||
        step->reads[from] == CLVI_NONE || (step->op && !step->op->in_place))
        return CLVI_NONE;
    const int32_t slot = step->reads[from];
    if (p->plan->whole[step->writes[0]] != CLVI_NONE)
        return CLVI_NONE; /* its place is given */
    for (size_t i = 0; i < step->n_reads; i++)
        reads += step->reads[i] == slot;
    const bool fits = reads == 1 && p->buffer[slot] != CLVI_NONE && p->last[slot] == s + 1 &&
                      clvi_tensor_bytes(clvi_plan_slot(p->plan, slot), &in_bytes) &&
                      clvi_tensor_bytes(clvi_plan_slot(p->plan, step->writes[0]), &out_bytes) &&
                      in_bytes == out_bytes && (!step->op || step->op->in_place(&step->call));
    return fits ? slot : CLVI_NONE;
}

/* The first part that is written brings the whole into being; all of them stay until its last use. */
static void place_part(placement *p, int32_t slot, size_t s)
{
    const int32_t whole = p->plan->whole[slot];
    size_t bytes;
    if (!clvi_tensor_bytes(clvi_plan_slot(p->plan, whole), &bytes))
        return;
    if (p->buffer[whole] == CLVI_NONE)
        p->buffer[whole] = add_item(p, bytes, s + 1, p->last[whole]);
    clvi_interval *const item = &p->items[p->buffer[whole]];
    item->last = clvi_max_size(item->last, s + 1);
    p->buffer[slot] = p->buffer[whole];
}

static void place_step(placement *p, size_t s)
{
    const clvi_step *const step = &p->plan->steps[s];
    const int32_t shared = takes_over(p, s);
    for (size_t i = 0; i < step->n_writes; i++) {
        const int32_t slot = step->writes[i];
        size_t bytes;
        if (slot == CLVI_NONE || !clvi_tensor_bytes(clvi_plan_slot(p->plan, slot), &bytes))
            continue;
        if (p->plan->whole[slot] != CLVI_NONE) {
            place_part(p, slot, s);
            continue;
        }
        const size_t last = clvi_max_size(p->last[slot], s + 1); /* an output that nobody reads lives for its step */
        if (i == 0 && shared != CLVI_NONE) {
            p->buffer[slot] = p->buffer[shared];
            p->items[p->buffer[slot]].last = last;
        } else {
            p->buffer[slot] = add_item(p, bytes, s + 1, last);
        }
    }
}

static void place_returns(placement *p)
{
    const clvi_plan *const plan = p->plan;
    for (size_t i = 0; i < plan->base.n_fetch; i++) {
        clv_tensor t = plan->shapes.values[plan->base.fetch[i]];
        const clv_dtype dtype = clvi_plan_returned(plan, plan->base.fetch[i]);
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
    return clvi_plan_block(&plan->block, plan->block_bytes, "activations", err);
}

static void *address(const placement *p, int32_t item)
{
    return item == CLVI_NONE ? NULL : (char *)p->plan->block + p->items[item].offset;
}

clv_status clvi_plan_memory(clvi_plan *plan, clv_error *err)
{
    const clvi_graph *const graph = plan->base.graph;
    clvi_arena *const arena = plan->shapes.arena;
    placement p = {.plan = plan};
    size_t n_items = graph->n_inputs + plan->base.n_fetch;
    const size_t slots = 2 * graph->n_values;
    for (size_t s = 0; s < plan->n_steps; s++)
        n_items += plan->steps[s].n_writes;
    p.last = clvi_arena_calloc(arena, slots, sizeof *p.last);
    p.buffer = clvi_arena_calloc(arena, slots, sizeof *p.buffer);
    p.items = clvi_arena_calloc(arena, n_items, sizeof *p.items);
    p.input_item = clvi_arena_calloc(arena, graph->n_inputs, sizeof *p.input_item);
    p.return_item = clvi_arena_calloc(arena, plan->base.n_fetch, sizeof *p.return_item);
    plan->staged = clvi_arena_calloc(arena, graph->n_inputs, sizeof *plan->staged);
    plan->returned = clvi_arena_calloc(arena, plan->base.n_fetch, sizeof *plan->returned);
    if (!p.last || !p.buffer || !p.items || !p.input_item || !p.return_item || !plan->staged || !plan->returned)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu values", graph->n_values);
    for (size_t v = 0; v < slots; v++)
        p.buffer[v] = CLVI_NONE;
    TRY(place_all(&p, err));
    plan->buffers = p.items;
    plan->n_buffers = p.n_items;
    plan->buffer = p.buffer;
    for (size_t v = 0; v < slots; v++)
        if (p.buffer[v] != CLVI_NONE)
            clvi_plan_slot(plan, (int32_t)v)->data = (char *)address(&p, p.buffer[v]) + plan->whole_bytes[v];
    for (size_t v = 0; v < graph->n_values; v++) /* one pixel: both forms are the same memory */
        if (plan->pixels[v].rank == 4 && p.buffer[graph->n_values + v] == CLVI_NONE)
            plan->pixels[v].data = plan->shapes.values[v].data;
    for (size_t i = 0; i < graph->n_inputs; i++)
        plan->staged[i] = address(&p, p.input_item[i]);
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        plan->returned[i] = address(&p, p.return_item[i]);
    return CLV_OK;
}
