/* SPDX-License-Identifier: Apache-2.0 */
/* Steps out of what plan_fuse.c has found. A value's other form is made when a step needs it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/plan_build.h"

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

static bool is_known(const clvi_plan *plan, int32_t v)
{
    return v == CLVI_NONE || plan->shapes.values[v].data != NULL;
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

clv_status clvi_need_dense(clvi_build *b, size_t node, int32_t v, clv_error *err)
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
clv_status clvi_emit_node(clvi_build *b, size_t index, bool on_pixels, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    for (size_t i = 0; i < node->n_in && !on_pixels; i++)
        TRY(clvi_need_dense(b, index, node->in[i], err));
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

clv_status clvi_emit_channels(clvi_build *b, size_t index, clv_error *err)
{
    TRY(clvi_emit_node(b, index, true, err));
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

clv_status clvi_emit_concat(clvi_build *b, size_t index, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    const int32_t y = node->out[0];
    size_t channel = 0;
    (void)err;
    (void)pixels_of(b, y);
    for (size_t i = 0; i < node->n_in; i++) {
        const int32_t slot = pixel_slot(b, node->in[i]);
        clvi_step *const step = clvi_step_into(b, slot);
        b->plan->whole[slot] = pixel_slot(b, y);
        b->plan->whole_bytes[slot] = channel * sizeof(float);
        step->pixel->y.ld = (size_t)value(b, y)->dims[1];
        channel += step->pixel->y.c;
    }
    made(b, y, true);
    return CLV_OK;
}

clv_status clvi_emit_shuffle(clvi_build *b, const size_t nodes[3], size_t groups, clv_error *err)
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

clv_status clvi_emit_exchange(clvi_build *b, const clvi_exchange *found, clv_error *err)
{
    clvi_step *const step = new_pixel_step(b, found->nodes[0], &clvi_pixel_exchange);
    const int32_t reads[4] = {pixel_slot(b, found->x[0]), CLVI_NONE, CLVI_NONE, pixel_slot(b, found->x[1])};
    const size_t n = found->y[1] == CLVI_NONE ? 1 : 2;
    int32_t writes[2] = {CLVI_NONE, CLVI_NONE};
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    for (size_t i = 0; i < n; i++) {
        (void)pixels_of(b, found->y[i]);
        writes[i] = pixel_slot(b, found->y[i]);
    }
    step->pixel->x = view(b, found->x[0]);
    step->pixel->other = view(b, found->x[1]);
    step->pixel->y = view(b, found->y[0]);
    if (n > 1)
        step->pixel->rest = view(b, found->y[1]);
    TRY(set_slots(b, step, reads, 4, writes, n, err));
    TRY(list_nodes(b, step, found->nodes, found->n_nodes, err));
    step->profile.nodes = clvi_node_label(b->graph, b->graph->nodes[found->nodes[0]]);
    count_bytes(b, step);
    for (size_t i = 0; i < found->n_nodes; i++)
        b->done[found->nodes[i]] = true;
    for (size_t i = 0; i < n; i++)
        made(b, found->y[i], true);
    return CLV_OK;
}

clv_status clvi_emit_part(clvi_build *b, const clvi_part *found, clv_error *err)
{
    clvi_step *const step = new_pixel_step(b, found->nodes[found->n_nodes - 1], &clvi_pixel_part);
    const int32_t reads = pixel_slot(b, found->x), writes = pixel_slot(b, found->y);
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    (void)pixels_of(b, found->y);
    step->pixel->x = view(b, found->x);
    step->pixel->y = view(b, found->y);
    step->pixel->region = found->region;
    TRY(set_slots(b, step, &reads, 1, &writes, 1, err));
    TRY(list_nodes(b, step, found->nodes, found->n_nodes, err));
    step->profile.nodes = clvi_node_label(b->graph, b->graph->nodes[found->nodes[0]]);
    count_bytes(b, step);
    for (size_t i = 0; i < found->n_nodes; i++)
        b->done[found->nodes[i]] = true;
    made(b, found->y, true);
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

/* m of Winograd where the chain is a convolution alone that gains from it; else 0. */
static size_t winograd_of(const clvi_build *b, const clvi_chain *chain)
{
    const bool alone = chain->expand.node == CLVI_NO_NODE && chain->depthwise.node == CLVI_NO_NODE;
    return alone && b->plan->base.fuse & CLVI_FUSE_WINOGRAD
               ? clvi_pixel_winograd_pays(&chain->conv.shape, (b->plan->base.fuse & CLVI_FUSE_ALWAYS) != 0)
               : 0;
}

static const clvi_pixel_kind *kind_of(const clvi_chain *chain, size_t winograd)
{
    if (winograd > 0)
        return &clvi_pixel_winograd;
    if (chain->expand.node != CLVI_NO_NODE && !clvi_pixel_is_pointwise(&chain->expand.shape))
        return chain->depthwise.node != CLVI_NO_NODE ? &clvi_pixel_first : &clvi_pixel_first_two;
    if (chain->expand.node != CLVI_NO_NODE)
        return chain->depthwise.node != CLVI_NO_NODE ? &clvi_pixel_inverted : &clvi_pixel_expanded;
    if (chain->depthwise.node != CLVI_NO_NODE)
        return &clvi_pixel_separable;
    return clvi_pixel_is_depthwise(&chain->conv.shape) ? &clvi_pixel_depthwise : &clvi_pixel_convolution;
}

/* conv->winograd is set. */
static clv_status pack_link(const clvi_build *b, const clvi_link *link, size_t multiplier, clvi_pixel_conv *conv,
                            clv_error *err)
{
    if (link->node == CLVI_NO_NODE)
        return CLV_OK;
    *conv = (clvi_pixel_conv){
        .shape = link->shape, .winograd = conv->winograd, .lo = link->lo, .hi = link->hi, .act = link->act};
    const clvi_node *const node = b->graph->nodes[link->node];
    return clvi_pixel_pack(b->plan->base.kernels, b->plan->packed, conv, multiplier, constant(b, link->node, 1),
                           constant(b, link->node, 2), clvi_node_label(b->graph, node), err);
}

clv_status clvi_emit_chain(clvi_build *b, const clvi_chain *chain, clv_error *err)
{
    const clvi_conv_shape *const filter = &chain->depthwise.shape;
    const size_t multiplier = chain->depthwise.node == CLVI_NO_NODE ? 1 : (size_t)(filter->o / filter->c);
    TRY(need_pixels(b, chain->conv.node, chain->x, err));
    TRY(need_pixels(b, chain->conv.node, chain->add, err));
    const size_t winograd = winograd_of(b, chain);
    clvi_step *const step = new_pixel_step(b, chain->conv.node, kind_of(chain, winograd));
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
    pixel->conv.winograd = winograd;
    TRY(pack_link(b, &chain->expand, 1, &pixel->expand, err));
    TRY(pack_link(b, &chain->depthwise, 1, &pixel->depthwise, err));
    TRY(pack_link(b, &chain->conv, multiplier, &pixel->conv, err));
    TRY(describe_chain(b, step, chain, err));
    for (size_t i = 0; i < chain->n_nodes; i++)
        b->done[chain->nodes[i]] = true;
    made(b, chain->y, true);
    return CLV_OK;
}

/* A Gemm with constant weights is a pointwise convolution of images of one pixel: its kind fetches weights ahead, which
 * takes most of a classifier's time at batch 1. */
bool clvi_match_gemm(const clvi_build *b, size_t index, clvi_conv_shape *s)
{
    const clvi_node *const node = b->graph->nodes[index];
    if (!clvi_node_is(node, "Gemm") || node->n_in < 2 || node->in[0] == CLVI_NONE || is_known(b->plan, node->in[0]) ||
        node->in[1] == CLVI_NONE || !is_known(b->plan, node->in[1]) || clvi_node_int(node, "transA", 0) != 0 ||
        clvi_node_int(node, "transB", 0) != 1 || clvi_node_float(node, "alpha", 1) != 1.0f ||
        clvi_node_float(node, "beta", 1) != 1.0f)
        return false;
    const clv_tensor *const x = value(b, node->in[0]), *const w = value(b, node->in[1]);
    const int32_t c = node->n_in > 2 ? node->in[2] : CLVI_NONE;
    if (x->rank != 2 || w->rank != 2 || x->dims[0] < 1 || x->dims[1] < 1 || w->dims[0] < 1 || !is_known(b->plan, c) ||
        (c != CLVI_NONE &&
         (clv_tensor_count(value(b, c)) != w->dims[0] || value(b, c)->dims[value(b, c)->rank - 1] != w->dims[0])))
        return false;
    *s = (clvi_conv_shape){.rank = 4,
                           .n = x->dims[0],
                           .c = x->dims[1],
                           .h = 1,
                           .w = 1,
                           .o = w->dims[0],
                           .oh = 1,
                           .ow = 1,
                           .groups = 1,
                           .kh = 1,
                           .kw = 1,
                           .sh = 1,
                           .sw = 1,
                           .dh = 1,
                           .dw = 1};
    return x->dtype == CLV_FLOAT32 && w->dtype == CLV_FLOAT32;
}

clv_status clvi_emit_gemm(clvi_build *b, size_t index, const clvi_conv_shape *s, clv_error *err)
{
    const clvi_node *const node = b->graph->nodes[index];
    const clvi_link link = {.node = index, .shape = *s, .lo = -INFINITY, .hi = INFINITY};
    TRY(clvi_need_dense(b, index, node->in[0], err));
    clvi_step *const step = new_pixel_step(b, index, &clvi_pixel_convolution);
    if (!step)
        return FAIL(err, CLV_ERR_NOMEM, "step of a plan");
    const size_t n = (size_t)s->n, c = (size_t)s->c, o = (size_t)s->o;
    step->pixel->x = (clvi_pixels){NULL, n, 1, 1, c, c};
    step->pixel->add = step->pixel->y = (clvi_pixels){NULL, n, 1, 1, o, o};
    TRY(set_slots(b, step, node->in, 1, node->out, 1, err));
    TRY(pack_link(b, &link, 1, &step->pixel->conv, err));
    step->profile.nodes = clvi_node_label(b->graph, node);
    step->profile.macs = b->plan->shapes.macs[index];
    count_bytes(b, step);
    step->profile.bytes += 4 * s->c * s->o;
    b->done[index] = true;
    made(b, node->out[0], false);
    return CLV_OK;
}

/* Pooling stays on pixels where its input is. */
bool clvi_match_pool(const clvi_build *b, size_t index, clvi_pool_shape *window)
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

bool clvi_match_global_mean(const clvi_build *b, size_t index)
{
    const clvi_node *const node = b->graph->nodes[index];
    return clvi_node_is(node, "GlobalAveragePool") && b->as_pixels[node->in[0]] && !b->dense[node->in[0]];
}

clv_status clvi_emit_pool(clvi_build *b, size_t index, const clvi_pool_shape *window, clv_error *err)
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
