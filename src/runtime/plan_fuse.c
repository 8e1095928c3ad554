/* SPDX-License-Identifier: Apache-2.0 */
/* What can run as one step. A value inside a chain is read once and not fetched, so nobody misses it. */
#include <math.h>
#include <string.h>

#include "ops/region.h"
#include "runtime/infer.h"
#include "runtime/plan_build.h"

static const clv_tensor *value(const clvi_build *b, int32_t id)
{
    return &b->plan->shapes.values[id];
}

bool clvi_is_flat(const clv_tensor *t)
{
    return t->rank == 4 && t->dims[2] == 1 && t->dims[3] == 1;
}

static bool is_image(const clv_tensor *t)
{
    return t->rank == 4 && t->dtype == CLV_FLOAT32 && clv_tensor_count(t) > 0;
}

static bool is_constant(const clvi_build *b, int32_t id)
{
    return id == CLVI_NONE || (b->plan->shapes.values[id].data != NULL);
}

/* The one node that reads the value, when nothing else needs it. */
static size_t only_reader(const clvi_build *b, int32_t id)
{
    return b->uses[id] == 1 ? b->reader[id] : CLVI_NO_NODE;
}

static bool conv_shape(const clvi_build *b, size_t index, clvi_conv_shape *s)
{
    const clvi_node *const node = b->graph->nodes[index];
    if (!b->keep[index] || b->done[index] || !clvi_node_is(node, "Conv") || node->n_in < 2 || node->n_in > 3)
        return false;
    const int32_t bias = node->n_in > 2 ? node->in[2] : CLVI_NONE;
    if (!is_image(value(b, node->in[0])) || is_constant(b, node->in[0]) || !is_constant(b, node->in[1]) ||
        !is_constant(b, bias) || !is_image(value(b, node->out[0])))
        return false;
    return clvi_conv_shape_of(b->graph, node, value(b, node->in[0]), value(b, node->in[1]), s, NULL) == CLV_OK;
}

/* A Clip bound: an attribute before opset 11, a constant input since. */
static bool clip_bound(const clvi_build *b, const clvi_node *node, size_t input, const char *name, float *bound)
{
    *bound = clvi_node_float(node, name, *bound);
    if (input < node->n_in && node->in[input] != CLVI_NONE) {
        if (!is_constant(b, node->in[input]))
            return false;
        *bound = *(const float *)value(b, node->in[input])->data;
    }
    return !isnan(*bound);
}

static bool match_clamp(const clvi_build *b, const clvi_node *node, float *lo, float *hi)
{
    *lo = -INFINITY;
    *hi = INFINITY;
    if (clvi_node_is(node, "Relu"))
        *lo = 0.0f;
    return clvi_node_is(node, "Relu") ||
           (clvi_node_is(node, "Clip") && clip_bound(b, node, 1, "min", lo) && clip_bound(b, node, 2, "max", hi));
}

/* The other operand of an addition of two tensors of one shape, when it exists by now; else CLVI_NONE. */
static int32_t match_add(const clvi_build *b, const clvi_node *node, int32_t v)
{
    if (!clvi_node_is(node, "Add") || node->n_in != 2 || node->in[0] == node->in[1])
        return CLVI_NONE;
    const int32_t other = node->in[0] == v ? node->in[1] : node->in[0];
    const clv_tensor *const x = value(b, v), *const y = value(b, other);
    const bool same = is_image(y) && memcmp(x->dims, y->dims, 4 * sizeof *x->dims) == 0;
    return same && !is_constant(b, other) && (b->dense[other] || b->as_pixels[other]) ? other : CLVI_NONE;
}

static void append(clvi_chain *chain, size_t node)
{
    chain->nodes[chain->n_nodes++] = node;
}

/* Relu or Clip right behind v becomes the clamp of what makes v. */
static bool take_clamp(const clvi_build *b, clvi_chain *chain, clvi_link *link, int32_t *v)
{
    const size_t next = only_reader(b, *v);
    float lo, hi;
    if (next == CLVI_NO_NODE || !match_clamp(b, b->graph->nodes[next], &lo, &hi) || b->graph->nodes[next]->in[0] != *v)
        return false;
    link->lo = lo;
    link->hi = hi;
    *v = b->graph->nodes[next]->out[0];
    append(chain, next);
    return true;
}

/* Is it an operator of one operand that act_f32 computes? */
static bool unary_act(const clvi_node *node, clvi_act_f32 *act)
{
    static const struct {
        const char *type;
        clvi_act_f32 act; /* alpha and beta: what counts without the attribute */
    } known[] = {{"Sigmoid", {CLVI_ACT_SIGMOID, 0, 0, NULL}},
                 {"HardSigmoid", {CLVI_ACT_HARD_SIGMOID, 0.2f, 0.5f, NULL}},
                 {"HardSwish", {CLVI_ACT_HARD_SWISH, 1.0f / 6, 0.5f, NULL}},
                 {"LeakyRelu", {CLVI_ACT_LEAKY, 0.01f, 0, NULL}}};
    size_t i = 0;
    while (i < sizeof known / sizeof *known && !clvi_node_is(node, known[i].type))
        i++;
    if (i == sizeof known / sizeof *known)
        return false;
    *act = known[i].act;
    if (act->kind != CLVI_ACT_HARD_SWISH) {
        act->alpha = clvi_node_float(node, "alpha", act->alpha);
        act->beta = clvi_node_float(node, "beta", act->beta);
    }
    return true;
}

/* PRelu with a constant slope a channel, or one for all. */
static bool prelu_act(const clvi_build *b, const clvi_node *node, int32_t v, clvi_act_f32 *act)
{
    if (!clvi_node_is(node, "PRelu") || node->n_in != 2 || node->in[0] != v || !is_constant(b, node->in[1]))
        return false;
    const clv_tensor *const slope = value(b, node->in[1]), *const x = value(b, v);
    const int64_t n = clv_tensor_count(slope);
    const bool fits = n == 1 || (slope->rank == 3 && slope->dims[0] == x->dims[1] && n == slope->dims[0]) ||
                      (slope->rank == 4 && slope->dims[1] == x->dims[1] && n == slope->dims[1]);
    if (!fits || slope->dtype != CLV_FLOAT32 || !slope->data)
        return false;
    *act = (clvi_act_f32){n == 1 ? CLVI_ACT_LEAKY : CLVI_ACT_PRELU, *(const float *)slope->data, 0,
                          n == 1 ? NULL : slope->data};
    return true;
}

/* The node that makes s, Sigmoid or HardSigmoid of v, for nobody else; or CLVI_NO_NODE. */
static size_t private_sigmoid(const clvi_build *b, int32_t s, int32_t v, clvi_act_f32 *act)
{
    if (s == CLVI_NONE || is_constant(b, s) || b->uses[s] != 1 || b->reader[s] == CLVI_NO_NODE)
        return CLVI_NO_NODE;
    const size_t maker = b->producer[s];
    const clvi_node *const node = b->graph->nodes[maker];
    if (!b->keep[maker] || node->out[0] != s || node->in[0] != v || !unary_act(node, act) ||
        (act->kind != CLVI_ACT_SIGMOID && act->kind != CLVI_ACT_HARD_SIGMOID))
        return CLVI_NO_NODE;
    act->kind = act->kind == CLVI_ACT_SIGMOID ? CLVI_ACT_SILU : CLVI_ACT_HARD_SWISH;
    return maker;
}

/* An activation of v, or v * Sigmoid(v), v * HardSigmoid(v) when nothing else needs either. */
static void take_act(const clvi_build *b, clvi_chain *chain, clvi_link *link, int32_t *v)
{
    if (b->uses[*v] < 1 || b->uses[*v] > 2 || clvi_plan_fetches(&b->plan->base, *v))
        return;
    const size_t last = b->reader[*v];
    const clvi_node *const node = b->graph->nodes[last];
    clvi_act_f32 act;
    if (b->uses[*v] == 2) {
        if (!clvi_node_is(node, "Mul") || (node->in[0] == *v) == (node->in[1] == *v))
            return;
        const size_t maker = private_sigmoid(b, node->in[0] == *v ? node->in[1] : node->in[0], *v, &act);
        if (maker == CLVI_NO_NODE)
            return;
        append(chain, maker);
    } else if (!unary_act(node, &act) && !prelu_act(b, node, *v, &act)) {
        return;
    }
    link->act = act;
    *v = node->out[0];
    append(chain, last);
}

/* A clamp or an activation, whichever stands there. */
static void take_end(const clvi_build *b, clvi_chain *chain, clvi_link *link, int32_t *v)
{
    if (!take_clamp(b, chain, link, v))
        take_act(b, chain, link, v);
}

static void take_add(const clvi_build *b, clvi_chain *chain, int32_t *v)
{
    const size_t next = only_reader(b, *v);
    const int32_t add = next == CLVI_NO_NODE ? CLVI_NONE : match_add(b, b->graph->nodes[next], *v);
    if (add == CLVI_NONE)
        return;
    chain->add = add;
    *v = b->graph->nodes[next]->out[0];
    append(chain, next);
}

/* Convolution `node`, which must read v when v is given, as a link; v becomes its output. */
static bool take_conv(const clvi_build *b, clvi_chain *chain, clvi_link *link, size_t node, int32_t *v)
{
    *link = (clvi_link){.node = node, .lo = -INFINITY, .hi = INFINITY};
    if (node == CLVI_NO_NODE || !conv_shape(b, node, &link->shape) || link->shape.rank != 4 ||
        link->shape.kh > CLVI_PIXEL_WINDOW || link->shape.kw > CLVI_PIXEL_WINDOW ||
        (*v != CLVI_NONE && b->graph->nodes[node]->in[0] != *v))
        return false;
    append(chain, node);
    *v = b->graph->nodes[node]->out[0];
    return true;
}

static void open_chain(const clvi_build *b, size_t node, clvi_chain *chain, int32_t *v)
{
    *chain = (clvi_chain){.expand.node = CLVI_NO_NODE,
                          .depthwise.node = CLVI_NO_NODE,
                          .x = b->graph->nodes[node]->in[0],
                          .add = CLVI_NONE,
                          .scale = CLVI_NONE};
    *v = CLVI_NONE;
}

/* Depthwise and pointwise, from a depthwise node that reads v. */
static bool take_separable(const clvi_build *b, clvi_chain *chain, size_t node, int32_t *v)
{
    if (!take_conv(b, chain, &chain->depthwise, node, v) || !clvi_pixel_is_depthwise(&chain->depthwise.shape))
        return false;
    take_end(b, chain, &chain->depthwise, v);
    return take_conv(b, chain, &chain->conv, only_reader(b, *v), v) && clvi_pixel_is_pointwise(&chain->conv.shape);
}

static bool always(const clvi_build *b)
{
    return (b->plan->base.fuse & CLVI_FUSE_ALWAYS) != 0;
}

static int threads(const clvi_build *b)
{
    return b->plan->base.context ? clvi_pool_threads(b->plan->base.context->pool) : 1;
}

static bool match_separable(const clvi_build *b, size_t node, clvi_chain *chain, int32_t *v)
{
    open_chain(b, node, chain, v);
    return take_separable(b, chain, node, v) &&
           (always(b) || clvi_pixel_separable_pays(&chain->depthwise.shape, &chain->conv.shape, threads(b)));
}

static bool match_inverted(const clvi_build *b, size_t node, clvi_chain *chain, int32_t *v)
{
    open_chain(b, node, chain, v);
    if (!take_conv(b, chain, &chain->expand, node, v) || !clvi_pixel_expands(&chain->expand.shape))
        return false;
    take_end(b, chain, &chain->expand, v);
    return take_separable(b, chain, only_reader(b, *v), v) && chain->depthwise.shape.dh == 1 &&
           (always(b) || clvi_pixel_inverted_pays(&chain->expand.shape));
}

/* The same when the depthwise layer's result is needed whole, as for squeeze and excitation. */
static bool match_expanded(const clvi_build *b, size_t node, clvi_chain *chain, int32_t *v)
{
    open_chain(b, node, chain, v);
    if (!take_conv(b, chain, &chain->expand, node, v) || !clvi_pixel_expands(&chain->expand.shape))
        return false;
    take_end(b, chain, &chain->expand, v);
    const clvi_conv_shape *const s = &chain->conv.shape;
    return take_conv(b, chain, &chain->conv, only_reader(b, *v), v) && clvi_pixel_is_depthwise(s) && s->o == s->c &&
           s->dh == 1 && (always(b) || clvi_pixel_inverted_pays(&chain->expand.shape));
}

static bool match_single(const clvi_build *b, size_t node, clvi_chain *chain, int32_t *v)
{
    open_chain(b, node, chain, v);
    return take_conv(b, chain, &chain->conv, node, v) && clvi_pixel_conv_fits(&chain->conv.shape);
}

bool clvi_match_conv(const clvi_build *b, size_t node, clvi_chain *chain)
{
    const unsigned fuse = b->plan->base.fuse, separable = CLVI_FUSE_EPILOGUE | CLVI_FUSE_SEPARABLE,
                   inverted = separable | CLVI_FUSE_INVERTED;
    int32_t v;
    if (!clvi_node_is(b->graph->nodes[node], "Conv"))
        return false;
    const bool matched =
        ((fuse & inverted) == inverted && (match_inverted(b, node, chain, &v) || match_expanded(b, node, chain, &v))) ||
        ((fuse & separable) == separable && match_separable(b, node, chain, &v)) || match_single(b, node, chain, &v);
    if (!matched)
        return false;
    if (fuse & CLVI_FUSE_EPILOGUE) {
        if (!clvi_pixel_is_depthwise(&chain->conv.shape))
            take_add(b, chain, &v);
        take_end(b, chain, &chain->conv, &v);
    }
    chain->y = v;
    return true;
}

bool clvi_match_scaled(const clvi_build *b, size_t index, clvi_chain *chain)
{
    const clvi_node *const node = b->graph->nodes[index];
    const unsigned needed = CLVI_FUSE_EPILOGUE | CLVI_FUSE_INVERTED;
    if ((b->plan->base.fuse & needed) != needed || !clvi_node_is(node, "Mul") || node->n_in != 2)
        return false;
    int32_t v = node->out[0];
    open_chain(b, index, chain, &(int32_t){CLVI_NONE});
    const bool second = clvi_is_flat(value(b, node->in[1]));
    chain->x = node->in[second ? 0 : 1];
    chain->scale = node->in[second ? 1 : 0];
    const clv_tensor *const x = value(b, chain->x), *const scale = value(b, chain->scale);
    if (!is_image(x) || !is_image(scale) || clvi_is_flat(x) || !clvi_is_flat(scale) || x->dims[0] != scale->dims[0] ||
        x->dims[1] != scale->dims[1] || !b->as_pixels[chain->x] || is_constant(b, chain->scale) ||
        !(b->dense[chain->scale] || b->as_pixels[chain->scale]))
        return false;
    append(chain, index);
    if (!take_conv(b, chain, &chain->conv, only_reader(b, v), &v) || !clvi_pixel_is_pointwise(&chain->conv.shape))
        return false;
    take_add(b, chain, &v);
    take_end(b, chain, &chain->conv, &v);
    chain->y = v;
    return true;
}

/* Memory of [c], [c, 1, 1] and [1, c, 1, 1] is that of [1, 1, 1, c]; one number fits everything. */
static bool broadcasts_to_pixels(const clv_tensor *t)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1 && !(t->rank == 4 && i == 1) && !(t->rank == 3 && i == 0))
            return false;
    return t->rank >= 0 && t->rank <= 4;
}

bool clvi_match_elementwise(const clvi_build *b, size_t index)
{
    static const char *const types[] = {"Relu",      "Clip", "LeakyRelu", "Elu", "Celu", "Selu",        "Sigmoid",
                                        "HardSwish", "Tanh", "Softplus",  "Exp", "Sqrt", "HardSigmoid", "Mish",
                                        "Abs",       "Neg",  "Add",       "Sub", "Mul",  "Div",         "Gelu"};
    const clvi_node *const node = b->graph->nodes[index];
    size_t type = 0, pixels = 0;
    while (type < sizeof types / sizeof *types && !clvi_node_is(node, types[type]))
        type++;
    if (type == sizeof types / sizeof *types || node->n_out != 1 || !is_image(value(b, node->out[0])) ||
        clvi_is_flat(value(b, node->out[0])))
        return false;
    for (size_t i = 0; i < node->n_in; i++) {
        const int32_t v = node->in[i];
        if (v == CLVI_NONE)
            continue;
        const clv_tensor *const t = value(b, v);
        if (is_constant(b, v) ? !broadcasts_to_pixels(t) : !is_image(t) || !b->as_pixels[v])
            return false;
        pixels += !is_constant(b, v) && !b->dense[v];
    }
    return pixels > 0;
}

static bool on_channels(const clvi_node *node)
{
    const int64_t axis = clvi_node_int(node, "axis", 0);
    return axis == 1 || axis == -3;
}

bool clvi_match_channels(const clvi_build *b, size_t index)
{
    const clvi_node *const node = b->graph->nodes[index];
    const bool concat = clvi_node_is(node, "Concat"), split = clvi_node_is(node, "Split");
    size_t pixels = 0;
    if ((!concat && !split) || !on_channels(node))
        return false;
    for (size_t i = 0; i < (concat ? node->n_in : 1); i++) {
        const int32_t v = node->in[i];
        if (v == CLVI_NONE || !is_image(value(b, v)) || !b->as_pixels[v])
            return false;
        pixels += !b->dense[v];
    }
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] == CLVI_NONE || !is_image(value(b, node->out[i])) || clvi_is_flat(value(b, node->out[i])))
            return false;
    return pixels > 0;
}

clvi_step *clvi_step_into(const clvi_build *b, int32_t slot)
{
    static const clvi_pixel_kind *const kinds[] = {
        &clvi_pixel_convolution, &clvi_pixel_depthwise, &clvi_pixel_separable,
        &clvi_pixel_inverted,    &clvi_pixel_expanded,  &clvi_pixel_winograd,
        &clvi_pixel_first,       &clvi_pixel_first_two, &clvi_pixel_pool};
    for (size_t s = b->plan->n_steps; s-- > 0;) {
        clvi_step *const step = &b->plan->steps[s];
        if (step->n_writes != 1 || step->writes[0] != slot)
            continue;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds && step->pixel; i++)
            if (step->pixel->kind == kinds[i])
                return step;
        return NULL;
    }
    return NULL;
}

bool clvi_match_concat(const clvi_build *b, size_t index)
{
    const clvi_node *const node = b->graph->nodes[index];
    if (!(b->plan->base.fuse & CLVI_FUSE_EPILOGUE) || !clvi_node_is(node, "Concat") || !clvi_match_channels(b, index))
        return false;
    for (size_t i = 0; i < node->n_in; i++) {
        const int32_t v = node->in[i], slot = (int32_t)b->graph->n_values + v;
        if (b->uses[v] != 1 || b->dense[v] || b->plan->whole[slot] != CLVI_NONE || !clvi_step_into(b, slot))
            return false;
    }
    return true;
}

/* Reshape, Transpose, Reshape from node `index`, which reads v: a shuffle of its channels? */
static bool take_shuffle(const clvi_build *b, size_t index, int32_t v, size_t nodes[3], size_t *groups)
{
    static const char *const types[] = {"Reshape", "Transpose", "Reshape"};
    const clv_tensor *const x = value(b, v);
    const clv_tensor *y[3];
    for (size_t i = 0; i < 3; i++) {
        nodes[i] = i == 0 ? index : only_reader(b, v);
        if (nodes[i] == CLVI_NO_NODE || !clvi_node_is(b->graph->nodes[nodes[i]], types[i]) ||
            b->graph->nodes[nodes[i]]->in[0] != v)
            return false;
        v = b->graph->nodes[nodes[i]]->out[0];
        y[i] = value(b, v);
    }
    size_t count;
    const int64_t *const perm = clvi_node_ints(b->graph->nodes[nodes[1]], "perm", &count);
    const int64_t order[5] = {0, 2, 1, 3, 4}, *const d = y[0]->dims;
    if (count != 5 || memcmp(perm, order, sizeof order) != 0 || y[0]->rank != 5 || !is_image(y[2]) ||
        memcmp(y[2]->dims, x->dims, 4 * sizeof *x->dims) != 0)
        return false;
    *groups = (size_t)d[1];
    return d[0] == x->dims[0] && d[1] * d[2] == x->dims[1] && d[3] == x->dims[2] && d[4] == x->dims[3];
}

bool clvi_match_shuffle(const clvi_build *b, size_t index, size_t nodes[3], size_t *groups)
{
    const int32_t v = b->graph->nodes[index]->in[0];
    return clvi_node_is(b->graph->nodes[index], "Reshape") && v != CLVI_NONE && is_image(value(b, v)) &&
           b->as_pixels[v] && !b->dense[v] && take_shuffle(b, index, v, nodes, groups);
}

bool clvi_match_exchange(const clvi_build *b, size_t index, clvi_exchange *found)
{
    const clvi_node *const node = b->graph->nodes[index];
    size_t groups;
    if (!(b->plan->base.fuse & CLVI_FUSE_EPILOGUE) || !clvi_node_is(node, "Concat") || node->n_in != 2 ||
        !clvi_match_channels(b, index) || value(b, node->in[0])->dims[1] != value(b, node->in[1])->dims[1])
        return false;
    const size_t shuffle = only_reader(b, node->out[0]);
    if (shuffle == CLVI_NO_NODE || !take_shuffle(b, shuffle, node->out[0], found->nodes + 1, &groups) || groups != 2)
        return false;
    const int32_t v = b->graph->nodes[found->nodes[3]]->out[0];
    *found = (clvi_exchange){.nodes = {index, found->nodes[1], found->nodes[2], found->nodes[3]},
                             .n_nodes = 4,
                             .x = {node->in[0], node->in[1]},
                             .y = {v, CLVI_NONE}};
    const size_t last = only_reader(b, v);
    const clvi_node *const split = last == CLVI_NO_NODE ? NULL : b->graph->nodes[last];
    if (split && clvi_node_is(split, "Split") && on_channels(split) && split->n_out == 2 && split->in[0] == v &&
        split->out[0] != CLVI_NONE && split->out[1] != CLVI_NONE &&
        value(b, split->out[0])->dims[1] == value(b, node->in[0])->dims[1]) {
        found->nodes[found->n_nodes++] = last;
        found->y[0] = split->out[0];
        found->y[1] = split->out[1];
    }
    return true;
}

/* The region of a region that a Slice takes; false: it goes backwards, or cuts the batch. */
static bool take_slice(clvi_pixel_region *p, const clvi_op_call *call)
{
    clvi_slice s;
    if (clvi_slice_of(call, &s, NULL) != CLV_OK || s.start[0] != 0 || s.dims[0] != call->in[0]->dims[0] ||
        s.step[1] != 1 || s.step[2] < 1 || s.step[3] < 1)
        return false;
    p->first += (size_t)s.start[1];
    p->channels = (size_t)s.dims[1];
    p->row += (size_t)s.start[2] * p->row_step;
    p->row_step *= (size_t)s.step[2];
    p->column += (size_t)s.start[3] * p->column_step;
    p->column_step *= (size_t)s.step[3];
    return true;
}

/* Zeros around the channels alone. */
static bool take_zeros(clvi_pixel_region *p, const clvi_op_call *call)
{
    clvi_border border;
    const int64_t *const d = call->in[0]->dims;
    if (!clvi_border_is_zero(call) || clvi_border_of(call, &border, NULL) != CLV_OK)
        return false;
    for (int i = 0; i < 4; i++)
        if (i != 1 ? border.begin[i] != 0 || border.dims[i] != d[i]
                   : border.begin[i] < 0 || border.dims[i] < border.begin[i] + d[i])
            return false;
    p->front = (size_t)border.begin[1];
    return true;
}

bool clvi_match_part(const clvi_build *b, size_t index, clvi_part *found)
{
    const clvi_node *node = b->graph->nodes[index];
    if (!b->keep[index] || b->done[index] || !clvi_node_is(node, "Slice") || node->in[0] == CLVI_NONE)
        return false;
    const clv_tensor *const x = value(b, node->in[0]);
    if (!is_image(x) || clvi_is_flat(x) || !b->as_pixels[node->in[0]])
        return false;
    *found = (clvi_part){.x = node->in[0], .region = {.row_step = 1, .column_step = 1}};
    for (size_t i = index; i != CLVI_NO_NODE && found->n_nodes < sizeof found->nodes / sizeof *found->nodes;) {
        clvi_op_call call;
        node = b->graph->nodes[i];
        const bool zeros = clvi_node_is(node, "Pad");
        if ((!zeros && !clvi_node_is(node, "Slice")) || node->n_out != 1 || !is_image(value(b, node->out[0])) ||
            clvi_is_flat(value(b, node->out[0])) ||
            clvi_call_bind(&call, b->graph, i, &b->plan->shapes, NULL) != CLV_OK ||
            !(zeros ? take_zeros(&found->region, &call) : take_slice(&found->region, &call)))
            break;
        found->nodes[found->n_nodes++] = i;
        found->y = node->out[0];
        i = zeros ? CLVI_NO_NODE : only_reader(b, found->y);
        if (i != CLVI_NO_NODE && b->graph->nodes[i]->in[0] != found->y)
            break;
    }
    return found->n_nodes > 0;
}
