/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/channel_flow.h"

#include <string.h>

/* One input, every element by itself (or, pooling, every plane); attributes do not speak of channels. */
static const char *const plain[] = {"Abs",           "AveragePool",  "Cast",
                                    "Ceil",          "Celu",         "Elu",
                                    "Erf",           "Exp",          "Floor",
                                    "Gelu",          "HardSigmoid",  "HardSwish",
                                    "LeakyRelu",     "Log",          "LpPool",
                                    "MaxPool",       "Mish",         "Neg",
                                    "Relu",          "Round",        "Selu",
                                    "Sigmoid",       "Sign",         "Softplus",
                                    "Softsign",      "Sqrt",         "Tanh",
                                    "Reciprocal",    "Identity",     "GlobalAveragePool",
                                    "GlobalMaxPool", "GlobalLpPool", "ThresholdedRelu",
                                    "Clip"};
static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "PRelu"};

static bool is_one_of(const clvi_node *node, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (clvi_node_is(node, names[i]))
            return true;
    return false;
}

static const clv_tensor *constant_of(const clvi_graph *graph, const clvi_node *node, size_t i)
{
    if (i >= node->n_in || node->in[i] == CLVI_NONE)
        return NULL;
    const clv_tensor *t = graph->values[node->in[i]].constant;
    return t && t->data ? t : NULL;
}

static int64_t tracked(const clvi_channel_flow *f, const clvi_node *node, size_t i)
{
    return i < node->n_in && node->in[i] != CLVI_NONE ? f->channels[node->in[i]] : 0;
}

int clvi_channel_axis(const clvi_graph *graph, const clvi_node *node, size_t i, int64_t channels, int rank, bool *fits)
{
    const clv_tensor *t = constant_of(graph, node, i);
    if (!t || t->rank > rank) {
        *fits = false;
        return -1;
    }
    const bool batchnorm = clvi_node_is(node, "BatchNormalization");
    const int axis = batchnorm ? 0 : t->rank - rank + 1;
    if (axis < 0 || axis >= t->rank || (t->dims[axis] == 1 && !(batchnorm && channels == 1)))
        return -1;
    *fits = *fits && t->dims[axis] == channels && (!batchnorm || t->rank == 1);
    return axis;
}

/* Conv and ConvTranspose with constant weights and bias; *channels of the output. */
static clvi_role role_of_conv(const clvi_channel_flow *f, const clvi_node *node, int64_t *channels, int *rank)
{
    const clv_tensor *w = constant_of(f->graph, node, 1), *b = constant_of(f->graph, node, 2);
    const int64_t groups = clvi_node_int(node, "group", 1);
    const bool transposed = clvi_node_is(node, "ConvTranspose"), biased = node->n_in > 2 && node->in[2] != CLVI_NONE;
    if (!w || w->rank < 3 || groups < 1 || clv_tensor_count(w) <= 0 || node->in[0] == CLVI_NONE || (biased && !b))
        return CLVI_ROLE_OTHER;
    *channels = transposed ? w->dims[1] * groups : w->dims[0];
    *rank = w->rank;
    if ((b && (b->rank != 1 || b->dims[0] != *channels)) || (!transposed && *channels % groups))
        return CLVI_ROLE_OTHER;
    if (groups == 1)
        return CLVI_ROLE_MAKES;
    const int64_t before = tracked(f, node, 0);
    return !transposed && w->dims[1] == 1 && (before == 0 || before == groups) ? CLVI_ROLE_DEPTHWISE : CLVI_ROLE_FIXED;
}

/* Operands: tracked values, all of the same channels and rank, and constants that broadcast onto them. */
static clvi_role role_of_arithmetic(const clvi_channel_flow *f, const clvi_node *node, int64_t *channels, int *rank)
{
    size_t values = 0;
    bool fits = true;
    for (size_t i = 0; i < node->n_in; i++) {
        const int64_t c = tracked(f, node, i);
        if (c == 0)
            continue;
        fits = fits && (values == 0 || (c == *channels && f->rank[node->in[i]] == *rank));
        *channels = c;
        *rank = f->rank[node->in[i]];
        values++;
    }
    const bool one_way = clvi_node_is(node, "PRelu"); /* the slope broadcasts, the input does not */
    if (clvi_graph_opset(f->graph, "") < 7)           /* before, operands were aligned by attributes */
        return CLVI_ROLE_OTHER;
    if (values == 0 || !fits || (one_way && tracked(f, node, 0) == 0))
        return CLVI_ROLE_OTHER;
    for (size_t i = 0; i < node->n_in; i++)
        if (tracked(f, node, i) == 0)
            (void)clvi_channel_axis(f->graph, node, i, *channels, *rank, &fits);
    return !fits ? CLVI_ROLE_OTHER : values > 1 ? CLVI_ROLE_JOINS : CLVI_ROLE_PASSES;
}

static clvi_role role_of_batchnorm(const clvi_channel_flow *f, const clvi_node *node, int64_t channels, int rank)
{
    bool fits = channels > 0 && node->n_in == 5 && clvi_node_int(node, "training_mode", 0) == 0 &&
                clvi_node_int(node, "spatial", 1) == 1;
    for (size_t i = 1; fits && i < 5; i++)
        fits = clvi_channel_axis(f->graph, node, i, channels, rank, &fits) == 0 && fits;
    return fits ? CLVI_ROLE_PASSES : CLVI_ROLE_OTHER;
}

/* Only the first input is computed, and the others (Clip's bounds) are single numbers. */
static clvi_role role_of_plain(const clvi_channel_flow *f, const clvi_node *node, int64_t channels)
{
    for (size_t i = 1; i < node->n_in; i++) {
        const clv_tensor *t = constant_of(f->graph, node, i);
        if (node->in[i] != CLVI_NONE && (!t || clv_tensor_count(t) != 1))
            return CLVI_ROLE_OTHER;
    }
    return channels > 0 ? CLVI_ROLE_PASSES : CLVI_ROLE_OTHER;
}

static int64_t axis_of(const clvi_node *node, int64_t absent, int rank)
{
    const int64_t axis = clvi_node_int(node, "axis", absent);
    return axis < 0 ? axis + rank : axis;
}

static clvi_role role_of_concat(const clvi_channel_flow *f, const clvi_node *node, int64_t *channels, int *rank)
{
    int64_t sum = 0;
    for (size_t i = 0; i < node->n_in; i++) {
        const int64_t c = tracked(f, node, i);
        if (c == 0 || (i > 0 && f->rank[node->in[i]] != *rank))
            return CLVI_ROLE_OTHER;
        *rank = f->rank[node->in[i]];
        sum += c;
    }
    *channels = sum;
    return sum > 0 && axis_of(node, 0, *rank) == 1 ? CLVI_ROLE_CONCAT : CLVI_ROLE_OTHER;
}

/* *list: the indices, in the flow's arena. */
static clv_status role_of_gather(clvi_role *role, clvi_channel_flow *f, const clvi_node *node, int64_t *channels,
                                 int rank, int64_t **list, clv_error *err)
{
    const clv_tensor *t = constant_of(f->graph, node, 1);
    const int64_t before = tracked(f, node, 0);
    *role = CLVI_ROLE_OTHER;
    if (before == 0 || !t || t->rank != 1 || t->dims[0] < 1 || (t->dtype != CLV_INT64 && t->dtype != CLV_INT32) ||
        axis_of(node, 0, rank) != 1)
        return CLV_OK;
    int64_t *index = clvi_arena_calloc(f->arena, (size_t)t->dims[0], sizeof *index);
    if (!index)
        return FAIL(err, CLV_ERR_NOMEM, "channels of %zu nodes", f->graph->n_nodes);
    for (int64_t i = 0; i < t->dims[0]; i++) {
        index[i] = t->dtype == CLV_INT64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
        index[i] += index[i] < 0 ? before : 0;
        if (index[i] < 0 || index[i] >= before)
            return CLV_OK;
    }
    *role = CLVI_ROLE_GATHER;
    *channels = t->dims[0];
    *list = index;
    return CLV_OK;
}

static clv_status look_at(clvi_channel_flow *f, size_t at, clv_error *err)
{
    const clvi_node *node = f->graph->nodes[at];
    clvi_role role = CLVI_ROLE_OTHER;
    if (node->n_in == 0 || node->n_out != 1 || node->n_capture || node->out[0] == CLVI_NONE)
        return CLV_OK;
    int64_t channels = tracked(f, node, 0);
    int rank = channels ? f->rank[node->in[0]] : 0;
    if (clvi_node_is(node, "Conv") || clvi_node_is(node, "ConvTranspose"))
        role = role_of_conv(f, node, &channels, &rank);
    else if (clvi_node_is(node, "Concat"))
        role = role_of_concat(f, node, &channels, &rank);
    else if (clvi_node_is(node, "BatchNormalization"))
        role = role_of_batchnorm(f, node, channels, rank);
    else if (clvi_node_is(node, "Gather"))
        TRY(role_of_gather(&role, f, node, &channels, rank, &f->list[at], err));
    else if (is_one_of(node, arithmetic, sizeof arithmetic / sizeof *arithmetic))
        role = role_of_arithmetic(f, node, &channels, &rank);
    else if (is_one_of(node, plain, sizeof plain / sizeof *plain))
        role = role_of_plain(f, node, channels);
    f->role[at] = role;
    if (role != CLVI_ROLE_OTHER) {
        f->channels[node->out[0]] = channels;
        f->rank[node->out[0]] = rank;
    }
    return CLV_OK;
}

clv_status clvi_channel_flow_create(clvi_channel_flow *out, const clvi_graph *graph, clv_error *err)
{
    clvi_channel_flow f = {.graph = graph, .arena = clvi_arena_create()};
    clv_status st = CLV_OK;
    *out = (clvi_channel_flow){0};
    if (f.arena) {
        f.role = clvi_arena_calloc(f.arena, graph->n_nodes, sizeof *f.role);
        f.list = clvi_arena_calloc(f.arena, graph->n_nodes, sizeof *f.list);
        f.channels = clvi_arena_calloc(f.arena, graph->n_values, sizeof *f.channels);
        f.rank = clvi_arena_calloc(f.arena, graph->n_values, sizeof *f.rank);
    }
    if (!f.arena || !f.role || !f.list || !f.channels || !f.rank)
        st = FAIL(err, CLV_ERR_NOMEM, "channels of %zu nodes", graph->n_nodes);
    for (size_t i = 0; st == CLV_OK && i < graph->n_nodes; i++)
        st = look_at(&f, i, err);
    if (st == CLV_OK)
        *out = f;
    else
        clvi_arena_free(f.arena);
    return st;
}

void clvi_channel_flow_free(clvi_channel_flow *flow)
{
    if (!flow)
        return;
    clvi_arena_free(flow->arena);
    *flow = (clvi_channel_flow){0};
}
