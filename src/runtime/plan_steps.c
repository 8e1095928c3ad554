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

static clvi_arena *arena_of(const clvi_build *b)
{
    return b->plan->shapes.arena;
}

static clv_tensor *value(const clvi_build *b, int32_t id)
{
    return &b->plan->shapes.values[id];
}

static int32_t pixel_slot(const clvi_build *b, int32_t v)
{
    return clvi_is_flat(value(b, v)) ? v : (int32_t)b->graph->n_values + v;
}

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
    if (!need || !b->keep || !b->done || !b->uses || !b->reader || !b->producer || !b->dense || !b->as_pixels ||
        !plan->pixels || !plan->steps)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu nodes", nodes);
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

/* --- one step at a time ------------------------------------------------------------------------------------------ */

/* Value v as pixels: the tensor [n, h, w, c]. */
static clv_tensor *pixels_of(const clvi_build *b, int32_t v)
{
    clv_tensor *const to = &b->plan->pixels[v];
    const clv_tensor *const from = value(b, v);
    if (to->rank < 0) {
        *to = *from;
        if (from->rank >= 3) { /* [c, 1, 1] and [1, c, 1, 1] are constants whose memory stays */
            const int64_t *const d = from->dims + (from->rank - 3);
            to->rank = 4;
            to->dims[0] = from->rank == 4 ? from->dims[0] : 1;
            const int64_t dims[3] = {d[1], d[2], d[0]};
            memcpy(to->dims + 1, dims, sizeof dims);
        }
    }
    return to;
}

static clvi_pixels view(const clvi_build *b, int32_t v)
{
    const int64_t *const d = value(b, v)->dims;
    return (clvi_pixels){NULL, (size_t)d[0], (size_t)d[2], (size_t)d[3], (size_t)d[1], (size_t)d[1]};
}

static clv_status set_slots(const clvi_build *b, clvi_step *step, const int32_t *reads, size_t n_reads,
                            const int32_t *writes, size_t n_writes, clv_error *err)
{
    int32_t *const slots = clvi_arena_calloc(arena_of(b), n_reads + n_writes, sizeof *slots);
    if (!slots)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    memcpy(slots, reads, n_reads * sizeof *slots);
    memcpy(slots + n_reads, writes, n_writes * sizeof *slots);
    step->reads = slots;
    step->n_reads = n_reads;
    step->writes = slots + n_reads;
    step->n_writes = n_writes;
    return CLV_OK;
}

static void count_bytes(const clvi_build *b, clvi_step *step)
{
    size_t bytes;
    for (size_t i = 0; i < step->n_reads; i++)
        if (step->reads[i] != CLVI_NONE && clvi_tensor_bytes(clvi_plan_slot(b->plan, step->reads[i]), &bytes))
            step->profile.bytes += (int64_t)bytes;
    for (size_t i = 0; i < step->n_writes; i++)
        if (step->writes[i] != CLVI_NONE && clvi_tensor_bytes(clvi_plan_slot(b->plan, step->writes[i]), &bytes))
            step->profile.bytes += (int64_t)bytes;
}

/* A new step of pixels, counted as node's. NULL when memory is short. */
static clvi_step *new_pixel_step(const clvi_build *b, size_t node, const clvi_pixel_kind *kind)
{
    clvi_step *const step = &b->plan->steps[b->plan->n_steps];
    clvi_pixel_step *const pixel = clvi_arena_calloc(arena_of(b), 1, sizeof *pixel);
    if (!pixel)
        return NULL;
    pixel->kind = kind;
    pixel->kernels = b->plan->base.kernels;
    pixel->pool = b->plan->base.context ? b->plan->base.context->pool : NULL;
    step->node = node;
    step->pixel = pixel;
    step->profile.kernel = kind->name;
    step->profile.node = &step->node;
    step->profile.n_nodes = 1;
    b->plan->n_steps++;
    return step;
}

static clv_status change_form(clvi_build *b, size_t node, int32_t v, bool to_pixels, clv_error *err)
{
    clvi_step *const step = new_pixel_step(b, node, to_pixels ? &clvi_pixel_from_planes : &clvi_pixel_to_planes);
    const int32_t dense = v, pixels = pixel_slot(b, v);
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    (void)pixels_of(b, v);
    step->pixel->x = step->pixel->y = view(b, v);
    step->pixel->tensor = value(b, v);
    TRY(set_slots(b, step, to_pixels ? &dense : &pixels, 1, to_pixels ? &pixels : &dense, 1, err));
    step->profile.nodes = b->graph->values[v].name;
    count_bytes(b, step);
    b->dense[v] = b->as_pixels[v] = true;
    return CLV_OK;
}

static clv_status need_dense(clvi_build *b, size_t node, int32_t v, clv_error *err)
{
    return v == CLVI_NONE || b->dense[v] || !b->as_pixels[v] ? CLV_OK : change_form(b, node, v, false, err);
}

static clv_status need_pixels(clvi_build *b, size_t node, int32_t v, clv_error *err)
{
    return v == CLVI_NONE || b->as_pixels[v] ? CLV_OK : change_form(b, node, v, true, err);
}

/* After a step has made value v in one form: of an image of one pixel both exist. */
static void made(clvi_build *b, int32_t v, bool pixels)
{
    const bool flat = clvi_is_flat(value(b, v)) && value(b, v)->dtype == CLV_FLOAT32;
    b->dense[v] = !pixels || flat;
    b->as_pixels[v] = pixels || flat;
    if (flat)
        (void)pixels_of(b, v);
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

/* An operator as it is; on_pixels: its operands are bound to their channels-last forms. */
static clv_status emit_node(clvi_build *b, size_t index, bool on_pixels, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    for (size_t i = 0; i < node->n_in && !on_pixels; i++)
        TRY(need_dense(b, index, node->in[i], err));
    clvi_step *const step = &b->plan->steps[b->plan->n_steps];
    int32_t *const ids = clvi_arena_calloc(arena_of(b), node->n_in + node->n_out, sizeof *ids);
    if (!ids)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    step->node = index;
    step->op = clvi_op_find(b->graph, node);
    TRY(clvi_call_bind(&step->call, b->graph, index, &b->plan->shapes, err));
    step->call.pool = b->plan->base.context ? b->plan->base.context->pool : NULL;
    step->call.kernels = b->plan->base.kernels;
    const clv_tensor **const in = clvi_arena_calloc(arena_of(b), node->n_in, sizeof *in);
    clv_tensor **const out = clvi_arena_calloc(arena_of(b), node->n_out, sizeof *out);
    if (!in || !out)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    for (size_t i = 0; i < node->n_in; i++) {
        const int32_t v = node->in[i];
        ids[i] = v == CLVI_NONE || !on_pixels || is_known(b->plan, v) ? v : pixel_slot(b, v);
        in[i] = v == CLVI_NONE ? NULL : on_pixels ? pixels_of(b, v) : value(b, v);
    }
    for (size_t i = 0; i < node->n_out; i++) {
        const int32_t v = node->out[i];
        ids[node->n_in + i] = v == CLVI_NONE || !on_pixels ? v : pixel_slot(b, v);
        out[i] = v == CLVI_NONE ? NULL : on_pixels ? pixels_of(b, v) : value(b, v);
    }
    step->call.in = in;
    step->call.out = out;
    TRY(set_slots(b, step, ids, node->n_in, ids + node->n_in, node->n_out, err));
    step->profile.nodes = clvi_node_label(b->graph, node);
    step->profile.kernel = node->op_type;
    step->profile.node = &step->node;
    step->profile.n_nodes = 1;
    step->profile.macs = b->plan->shapes.macs[index];
    count_bytes(b, step);
    b->plan->n_steps++;
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] != CLVI_NONE)
            made(b, node->out[i], on_pixels);
    return CLV_OK;
}

/* The node with axis 1 of an image turned into axis 3 of its pixels. */
static const clvi_node *channels_last(const clvi_build *b, const clvi_node *node)
{
    clvi_node *const copy = clvi_arena_alloc(arena_of(b), sizeof *copy);
    clvi_attr *const attr = clvi_arena_calloc(arena_of(b), node->n_attr, sizeof *attr);
    if (!copy || !attr)
        return NULL;
    *copy = *node;
    copy->attr = attr;
    memcpy(attr, node->attr, node->n_attr * sizeof *attr);
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(attr[i].name, "axis") == 0)
            attr[i].i = 3;
    return copy;
}

static clv_status emit_channels(clvi_build *b, size_t index, clv_error *err)
{
    TRY(emit_node(b, index, true, err));
    clvi_step *const step = &b->plan->steps[b->plan->n_steps - 1];
    step->call.node = channels_last(b, step->call.node);
    return step->call.node ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "step of a plan");
}

/* The nodes of a step that runs several. */
static clv_status list_nodes(const clvi_build *b, clvi_step *step, const size_t *nodes, size_t n, clv_error *err)
{
    size_t *const list = clvi_arena_alloc(arena_of(b), n * sizeof *list);
    if (!list)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    memcpy(list, nodes, n * sizeof *list);
    step->profile.node = list;
    step->profile.n_nodes = n;
    return CLV_OK;
}

static clv_status emit_shuffle(clvi_build *b, const size_t nodes[3], size_t groups, clv_error *err)
{
    clvi_step *const step = new_pixel_step(b, nodes[0], &clvi_pixel_shuffle);
    const int32_t from = b->graph->nodes[nodes[0]]->in[0], to = b->graph->nodes[nodes[2]]->out[0];
    const int32_t reads = pixel_slot(b, from), writes = pixel_slot(b, to);
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    (void)pixels_of(b, to);
    step->pixel->x = view(b, from);
    step->pixel->y = view(b, to);
    step->pixel->groups = groups;
    TRY(set_slots(b, step, &reads, 1, &writes, 1, err));
    TRY(list_nodes(b, step, nodes, 3, err));
    step->profile.nodes = clvi_node_label(b->graph, b->graph->nodes[nodes[2]]);
    count_bytes(b, step);
    for (size_t i = 0; i < 3; i++)
        b->done[nodes[i]] = true;
    made(b, to, true);
    return CLV_OK;
}

static const float *constant(const clvi_build *b, size_t node, size_t i)
{
    const clvi_node *const n = b->graph->nodes[node];
    return i < n->n_in && n->in[i] != CLVI_NONE ? value(b, n->in[i])->data : NULL;
}

/* "conv1 + relu1": the nodes of a chain, and what they cost. */
static clv_status describe_chain(const clvi_build *b, clvi_step *step, const clvi_chain *chain, clv_error *err)
{
    const char *text = "";
    for (size_t i = 0; i < chain->n_nodes; i++) {
        text = clvi_arena_printf(arena_of(b), "%s%s%s", text, i > 0 ? " + " : "",
                                 clvi_node_label(b->graph, b->graph->nodes[chain->nodes[i]]));
        if (!text)
            return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
        step->profile.macs += b->plan->shapes.macs[chain->nodes[i]];
    }
    step->profile.nodes = text;
    TRY(list_nodes(b, step, chain->nodes, chain->n_nodes, err));
    count_bytes(b, step);
    const clvi_link *const links[] = {&chain->expand, &chain->depthwise, &chain->conv};
    for (size_t i = 0; i < 3; i++) {
        size_t bytes;
        if (links[i]->node != CLVI_NO_NODE &&
            clvi_tensor_bytes(value(b, b->graph->nodes[links[i]->node]->in[1]), &bytes))
            step->profile.bytes += (int64_t)bytes;
    }
    return CLV_OK;
}

static const clvi_pixel_kind *kind_of(const clvi_chain *chain)
{
    if (chain->expand.node != CLVI_NO_NODE)
        return chain->depthwise.node != CLVI_NO_NODE ? &clvi_pixel_inverted : &clvi_pixel_expanded;
    if (chain->depthwise.node != CLVI_NO_NODE)
        return &clvi_pixel_separable;
    return clvi_pixel_is_depthwise(&chain->conv.shape) ? &clvi_pixel_depthwise : &clvi_pixel_convolution;
}

static clv_status pack_link(const clvi_build *b, const clvi_link *link, size_t multiplier, clvi_pixel_conv *conv,
                            clv_error *err)
{
    if (link->node == CLVI_NO_NODE)
        return CLV_OK;
    *conv = (clvi_pixel_conv){.shape = link->shape, .lo = link->lo, .hi = link->hi, .act = link->act};
    const clvi_node *const node = b->graph->nodes[link->node];
    return clvi_pixel_pack(b->plan->base.kernels, conv, multiplier, constant(b, link->node, 1),
                           constant(b, link->node, 2), clvi_node_label(b->graph, node), err);
}

static clv_status emit_chain(clvi_build *b, const clvi_chain *chain, clv_error *err)
{
    const clvi_conv_shape *const filter = &chain->depthwise.shape;
    const size_t multiplier = chain->depthwise.node == CLVI_NO_NODE ? 1 : (size_t)(filter->o / filter->c);
    TRY(need_pixels(b, chain->conv.node, chain->x, err));
    TRY(need_pixels(b, chain->conv.node, chain->add, err));
    clvi_step *const step = new_pixel_step(b, chain->conv.node, kind_of(chain));
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    clvi_pixel_step *const pixel = step->pixel;
    const bool adds = chain->add != CLVI_NONE, scales = chain->scale != CLVI_NONE;
    const int32_t writes = pixel_slot(b, chain->y);
    const int32_t reads[3] = {pixel_slot(b, chain->x), adds ? pixel_slot(b, chain->add) : CLVI_NONE, chain->scale};
    (void)pixels_of(b, chain->y);
    pixel->x = view(b, chain->x);
    pixel->y = view(b, chain->y);
    pixel->add = pixel->y;
    if (scales)
        pixel->scale = view(b, chain->scale);
    TRY(set_slots(b, step, reads, scales ? 3 : adds ? 2 : 1, &writes, 1, err));
    TRY(pack_link(b, &chain->expand, 1, &pixel->expand, err));
    TRY(pack_link(b, &chain->depthwise, 1, &pixel->depthwise, err));
    TRY(pack_link(b, &chain->conv, multiplier, &pixel->conv, err));
    TRY(describe_chain(b, step, chain, err));
    for (size_t i = 0; i < chain->n_nodes; i++)
        b->done[chain->nodes[i]] = true;
    made(b, chain->y, true);
    return CLV_OK;
}

/* Pooling stays on pixels where its input is. */
static bool match_pool(const clvi_build *b, size_t index, clvi_pool_shape *window)
{
    const clvi_node *const node = b->graph->nodes[index];
    const clv_tensor *in[1];
    clvi_op_call call = {.graph = b->graph, .node = node, .n_in = 1, .in = in};
    if (node->n_in < 1 || node->in[0] == CLVI_NONE || node->n_out != 1 || !b->as_pixels[node->in[0]] ||
        b->dense[node->in[0]])
        return false;
    in[0] = value(b, node->in[0]);
    return (clvi_node_is(node, "MaxPool") || clvi_node_is(node, "AveragePool")) &&
           clvi_pool_shape_of(&call, window, NULL) == CLV_OK;
}

static bool match_global_mean(const clvi_build *b, size_t index)
{
    const clvi_node *const node = b->graph->nodes[index];
    return clvi_node_is(node, "GlobalAveragePool") && b->as_pixels[node->in[0]] && !b->dense[node->in[0]];
}

static clv_status emit_pool(clvi_build *b, size_t index, const clvi_pool_shape *window, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    clvi_step *const step = new_pixel_step(b, index, window ? &clvi_pixel_pool : &clvi_pixel_global_mean);
    const int32_t reads = pixel_slot(b, node->in[0]), writes = pixel_slot(b, node->out[0]);
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    (void)pixels_of(b, node->out[0]);
    step->pixel->x = view(b, node->in[0]);
    step->pixel->y = view(b, node->out[0]);
    if (window)
        step->pixel->window = *window;
    step->pixel->maximum = clvi_node_is(node, "MaxPool");
    step->pixel->count_pads = clvi_node_int(node, "count_include_pad", 0) != 0;
    TRY(set_slots(b, step, &reads, 1, &writes, 1, err));
    step->profile.nodes = clvi_node_label(b->graph, node);
    count_bytes(b, step);
    made(b, node->out[0], true);
    return CLV_OK;
}

static clv_status emit(clvi_build *b, size_t index, clv_error *err)
{
    clvi_chain chain;
    clvi_pool_shape window;
    size_t nodes[3], groups;
    if (b->plan->base.fuse & CLVI_FUSE_LAYOUT) {
        if (clvi_match_conv(b, index, &chain) || clvi_match_scaled(b, index, &chain))
            return emit_chain(b, &chain, err);
        if (match_pool(b, index, &window))
            return emit_pool(b, index, &window, err);
        if (match_global_mean(b, index))
            return emit_pool(b, index, NULL, err);
        if (clvi_match_elementwise(b, index))
            return emit_node(b, index, true, err);
        if (clvi_match_channels(b, index))
            return emit_channels(b, index, err);
        if (clvi_match_shuffle(b, index, nodes, &groups))
            return emit_shuffle(b, nodes, groups, err);
    }
    return emit_node(b, index, false, err);
}

static clv_status build_steps(clvi_plan *plan, clv_error *err)
{
    clvi_build b;
    TRY(open_build(&b, plan, err));
    for (size_t i = 0; i < b.graph->n_nodes; i++)
        if (b.keep[i] && !b.done[i])
            TRY(emit(&b, i, err));
    for (size_t i = 0; i < plan->base.n_fetch; i++)
        TRY(need_dense(&b, b.graph->n_nodes - 1, plan->base.fetch[i], err));
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
        macs += (double)step->profile.macs;
        moved += step->pixel->tensor ? (double)step->profile.bytes : 0;
    }
    return moved * MACS_PER_BYTE <= macs * GAIN;
}

clv_status clvi_plan_steps(clvi_plan *plan, clv_error *err)
{
    TRY(build_steps(plan, err));
    if (layout_pays(plan) || (plan->base.fuse & CLVI_FUSE_ALWAYS))
        return CLV_OK;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].pixel)
            clvi_pixel_release(plan->steps[s].pixel);
    plan->n_steps = 0;
    plan->base.fuse = 0;
    return build_steps(plan, err);
}
