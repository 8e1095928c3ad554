/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes become steps. Convolutions of images run on pixels; what follows them stays in that form as long as its
 * operator can; a change of form is a step of its own, made when somebody needs the other one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/plan_build.h"

#define MACS_PER_BYTE 5.0 /* multiply-adds of a convolution in the time that a change of form takes for a byte */
#define GAIN          0.3 /* of a convolution's time, at most */

/* --- which nodes ------------------------------------------------------------------------------------------------ */

static bool is_known(const clvi_plan *plan, int32_t v)
{
    return v == CLVI_NONE || plan->shapes.values[v].data != NULL;
}

/* Of the wanted nodes those whose result is not a constant by now and still needed. */
static void choose_nodes(clvi_build *b, bool *need)
{
    const clvi_plan *const plan = b->plan;
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        need[plan->base.fetch[i]] = true;
    for (size_t i = b->graph->n_nodes; i-- > 0;) {
        const clvi_node *const node = b->graph->nodes[i];
        for (size_t j = 0; j < node->n_out && plan->base.wanted[i]; j++)
            b->keep[i] |= !is_known(plan, node->out[j]) && need[node->out[j]];
        for (size_t j = 0; j < node->n_in && b->keep[i]; j++)
            if (!is_known(plan, node->in[j]))
                need[node->in[j]] = true;
    }
}

static void count_reads(clvi_build *b)
{
    for (size_t i = 0; i < b->graph->n_nodes; i++) {
        const clvi_node *const node = b->graph->nodes[i];
        for (size_t j = 0; j < node->n_in && b->keep[i]; j++)
            if (node->in[j] != CLVI_NONE) {
                b->uses[node->in[j]]++;
                b->reader[node->in[j]] = i;
            }
        for (size_t j = 0; j < node->n_out && b->keep[i]; j++)
            if (node->out[j] != CLVI_NONE)
                b->producer[node->out[j]] = i;
        for (size_t j = 0; j < node->n_capture && b->keep[i]; j++)
            b->uses[node->capture[j]] += 2;
    }
    for (size_t i = 0; i < b->plan->base.n_fetch; i++)
        b->uses[b->plan->base.fetch[i]]++;
}

static clv_status open_build(clvi_build *b, clvi_plan *plan, clv_error *err)
{
    clvi_arena *const arena = plan->shapes.arena;
    const size_t n = plan->base.graph->n_values, nodes = plan->base.graph->n_nodes;
    *b = (clvi_build){.plan = plan, .graph = plan->base.graph};
    bool *const need = clvi_arena_calloc(arena, n, sizeof *need);
    b->keep = clvi_arena_calloc(arena, nodes, sizeof *b->keep);
    b->done = clvi_arena_calloc(arena, nodes, sizeof *b->done);
    b->uses = clvi_arena_calloc(arena, n, sizeof *b->uses);
    b->reader = clvi_arena_calloc(arena, n, sizeof *b->reader);
    b->producer = clvi_arena_calloc(arena, n, sizeof *b->producer);
    b->dense = clvi_arena_calloc(arena, n, sizeof *b->dense);
    b->as_pixels = clvi_arena_calloc(arena, n, sizeof *b->as_pixels);
    plan->pixels = clvi_arena_calloc(arena, n, sizeof *plan->pixels);
    plan->steps = clvi_arena_calloc(arena, nodes + 2 * n, sizeof *plan->steps); /* a value changes form once each way */
    plan->whole = clvi_arena_calloc(arena, 2 * n, sizeof *plan->whole);
    plan->whole_bytes = clvi_arena_calloc(arena, 2 * n, sizeof *plan->whole_bytes);
    if (!plan->whole || !plan->whole_bytes || !need || !b->keep || !b->done || !b->uses || !b->reader || !b->producer ||
        !b->dense || !b->as_pixels || !plan->pixels || !plan->steps)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu nodes", nodes);
    for (size_t v = 0; v < 2 * n; v++)
        plan->whole[v] = CLVI_NONE;
    for (size_t v = 0; v < n; v++) {
        plan->pixels[v].rank = -1;
        b->dense[v] = plan->shapes.values[v].data != NULL;
        b->reader[v] = CLVI_NO_NODE;
    }
    for (size_t i = 0; i < b->graph->n_inputs; i++) {
        const int32_t v = b->graph->inputs[i];
        b->dense[v] = plan->shapes.values[v].rank >= 0;
    }
    choose_nodes(b, need);
    count_reads(b);
    return CLV_OK;
}

static clv_status emit(clvi_build *b, size_t index, clv_error *err)
{
    clvi_chain chain;
    clvi_exchange exchange;
    clvi_conv_shape shape;
    clvi_pool_shape window;
    clvi_part part;
    size_t nodes[3], groups;
    if (b->plan->base.fuse & CLVI_FUSE_LAYOUT) {
        if (clvi_match_conv(b, index, &chain) || clvi_match_scaled(b, index, &chain))
            return clvi_emit_chain(b, &chain, err);
        if (clvi_match_part(b, index, &part))
            return clvi_emit_part(b, &part, err);
        if (clvi_match_pool(b, index, &window))
            return clvi_emit_pool(b, index, &window, err);
        if (clvi_match_gemm(b, index, &shape))
            return clvi_emit_gemm(b, index, &shape, err);
        if (clvi_match_global_mean(b, index))
            return clvi_emit_pool(b, index, NULL, err);
        if (clvi_match_elementwise(b, index))
            return clvi_emit_node(b, index, true, err);
        if (clvi_match_exchange(b, index, &exchange))
            return clvi_emit_exchange(b, &exchange, err);
        if (clvi_match_concat(b, index))
            return clvi_emit_concat(b, index, err);
        if (clvi_match_channels(b, index))
            return clvi_emit_channels(b, index, err);
        if (clvi_match_shuffle(b, index, nodes, &groups))
            return clvi_emit_shuffle(b, nodes, groups, err);
    }
    return clvi_emit_node(b, index, false, err);
}

/* Parts of what node reads that others need, too: emitted before it, in whose chain they may then be added. */
static clv_status emit_parts(clvi_build *b, size_t index, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    clvi_part part;
    for (size_t k = 0; k < node->n_in && b->plan->base.fuse & CLVI_FUSE_LAYOUT; k++) {
        const int32_t v = node->in[k];
        if (v == CLVI_NONE || b->uses[v] < 2 || !b->as_pixels[v])
            continue;
        for (size_t i = index + 1; i < b->graph->n_nodes; i++)
            if (b->graph->nodes[i]->n_in > 0 && b->graph->nodes[i]->in[0] == v && clvi_match_part(b, i, &part))
                TRY(clvi_emit_part(b, &part, err));
    }
    return CLV_OK;
}

static clv_status build_steps(clvi_plan *plan, clv_error *err)
{
    clvi_build b;
    clvi_arena_free(plan->packed); /* of a plan that did not pay */
    if (!(plan->packed = clvi_arena_create_hot()))
        return FAIL(err, CLV_ERR_NOMEM, "plan");
    TRY(open_build(&b, plan, err));
    for (size_t i = 0; i < b.graph->n_nodes; i++)
        if (b.keep[i] && !b.done[i]) {
            TRY(emit_parts(&b, i, err));
            TRY(emit(&b, i, err));
        }
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        TRY(clvi_need_dense(&b, b.graph->n_nodes - 1, plan->base.fetch[i], err));
    return CLV_OK;
}

/* A network that changes between operators that can and cannot use pixels may lose more by the changes of form than its
 * convolutions gain. Both are estimated, so that the choice is the same on every run. */
static bool layout_pays(const clvi_plan *plan)
{
    double moved = 0, macs = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const clvi_step *const step = &plan->steps[s];
        if (!step->pixel)
            continue;
        if (step->pixel->x.h * step->pixel->x.w > 1)
            macs += (double)step->profile.macs;
        moved += step->pixel->tensor ? (double)step->profile.bytes : 0;
    }
    return moved * MACS_PER_BYTE <= macs * GAIN;
}

/* Each step that multiplies knows the next one, to fetch its weights. */
static void look_ahead(clvi_plan *plan)
{
    const clvi_pixel_step *next = NULL;
    for (size_t s = plan->n_steps; s-- > 0;) {
        clvi_pixel_step *const pixel = plan->steps[s].pixel;
        if (!pixel || !clvi_pixel_multiplies(pixel))
            continue;
        pixel->next = next;
        next = pixel;
    }
}

clv_status clvi_plan_steps(clvi_plan *plan, clv_error *err)
{
    TRY(build_steps(plan, err));
    look_ahead(plan);
    if (layout_pays(plan) || (plan->base.fuse & CLVI_FUSE_ALWAYS))
        return CLV_OK;
    plan->n_steps = 0;
    plan->base.fuse = 0;
    return build_steps(plan, err);
}
