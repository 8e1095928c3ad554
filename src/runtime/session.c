/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/infer.h"
#include "runtime/plan.h"

#define PLANS 4 /* input shapes that are kept ready */

struct clvi_session {
    clvi_plan_base base;
    clvi_kernels kernels;
    clvi_arena *arena;       /* fetch list, masks, converted constants */
    clvi_plan *plans[PLANS]; /* most recently used first */
    double *node_seconds;    /* [n_nodes] or NULL */
};

/* --- what is wanted -------------------------------------------------------------------------------------------- */

static clv_status set_fetches(clvi_session *session, const clvi_session_opts *opts, clv_error *err)
{
    const clvi_graph *const graph = session->base.graph;
    const bool given = opts && opts->fetch;
    const int32_t *const from = given ? opts->fetch : graph->outputs;
    const size_t n = given ? opts->n_fetch : graph->n_outputs;
    int32_t *const fetch = clvi_arena_calloc(session->arena, n, sizeof *fetch);
    if (!fetch)
        return FAIL(err, CLV_ERR_NOMEM, "session");
    for (size_t i = 0; i < n; i++) {
        if (from[i] < 0 || (size_t)from[i] >= graph->n_values)
            return FAIL(err, CLV_ERR_ARG, "fetch %zu is value %d, the graph has %zu values", i, (int)from[i],
                        graph->n_values);
        fetch[i] = from[i];
    }
    session->base.fetch = fetch;
    session->base.n_fetch = n;
    return CLV_OK;
}

/* Is the value there without a node making it? */
static bool has_source(const clvi_graph *graph, int32_t value)
{
    if (graph->values[value].constant || graph->values[value].opaque)
        return true;
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i] == value)
            return true;
    return false;
}

/* wanted[node]: a fetch depends on it. Backwards over the topological order. */
static clv_status find_wanted(clvi_session *session, clv_error *err)
{
    const clvi_graph *const graph = session->base.graph;
    bool *const need = clvi_arena_calloc(session->arena, graph->n_values, sizeof *need);
    bool *const made = clvi_arena_calloc(session->arena, graph->n_values, sizeof *made);
    bool *const wanted = clvi_arena_calloc(session->arena, graph->n_nodes, sizeof *wanted);
    bool *const wanted_input = clvi_arena_calloc(session->arena, graph->n_inputs, sizeof *wanted_input);
    if (!need || !made || !wanted || !wanted_input)
        return FAIL(err, CLV_ERR_NOMEM, "session of %zu values", graph->n_values);
    for (size_t i = 0; i < session->base.n_fetch; i++)
        need[session->base.fetch[i]] = true;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        const clvi_node *const node = graph->nodes[i];
        for (size_t j = 0; j < node->n_out; j++)
            if (node->out[j] != CLVI_NONE) {
                made[node->out[j]] = true;
                wanted[i] |= need[node->out[j]];
            }
        for (size_t j = 0; j < node->n_in && wanted[i]; j++)
            if (node->in[j] != CLVI_NONE)
                need[node->in[j]] = true;
    }
    for (size_t v = 0; v < graph->n_values; v++)
        if (need[v] && !made[v] && !has_source(graph, (int32_t)v))
            return FAIL(err, CLV_ERR_ARG, "value \"%s\" is wanted, but nothing makes it", graph->values[v].name);
    for (size_t i = 0; i < graph->n_inputs; i++)
        wanted_input[i] = need[graph->inputs[i]];
    session->base.wanted = wanted;
    session->base.wanted_input = wanted_input;
    return CLV_OK;
}

static clv_status check_supported(const clvi_session *session, clv_error *err)
{
    const clvi_graph *const graph = session->base.graph;
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (session->base.wanted[i] && !clvi_op_find(graph, graph->nodes[i]))
            return clvi_op_unsupported(graph, graph->nodes[i], err);
    return CLV_OK;
}

static clv_status convert_constants(clvi_session *session, clv_error *err)
{
    clv_tensor *const constants = clvi_arena_calloc(session->arena, session->base.graph->n_values, sizeof *constants);
    if (!constants)
        return FAIL(err, CLV_ERR_NOMEM, "session of %zu values", session->base.graph->n_values);
    session->base.constants = constants;
    return clvi_infer_constants(session->base.graph, session->arena, constants, err);
}

/* CLEAVE_FUSE names what may be fused: "none", or names separated by commas. */
static clv_status choose_fuse(clvi_session *session, const clvi_session_opts *opts, clv_error *err)
{
    static const char *const names[] = {"layout", "epilogue", "separable", "inverted", "winograd"};
    const char *text = getenv("CLEAVE_FUSE");
    unsigned on = CLVI_FUSE_ALL;
    if (text && *text) {
        on = 0;
        for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            const size_t length = strcspn(at, ",");
            size_t i = 0;
            while (i < sizeof names / sizeof *names &&
                   (strlen(names[i]) != length || strncmp(at, names[i], length) != 0))
                i++;
            if (i < sizeof names / sizeof *names)
                on |= 1u << i;
            else if (strcmp(text, "none") != 0)
                return FAIL(err, CLV_ERR_ARG,
                            "CLEAVE_FUSE is \"%s\", \"none\" or a list of layout, epilogue, separable, inverted, "
                            "winograd was expected",
                            text);
        }
    }
    session->base.fuse = (on & ~(opts ? opts->dont_fuse : 0u)) | (opts && opts->fuse_always ? CLVI_FUSE_ALWAYS : 0u);
    return CLV_OK;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

clv_status clvi_session_create(clvi_session **out, const clvi_graph *graph, const clvi_session_opts *opts,
                               clv_context *context, clv_error *err)
{
    clv_status st = CLV_OK;
    *out = NULL;
    clvi_session *session = clvi_calloc(1, sizeof *session);
    if (!session || !(session->arena = clvi_arena_create())) {
        st = FAIL(err, CLV_ERR_NOMEM, "session");
        goto out;
    }
    session->kernels = clvi_kernels_for(context ? context->cpu : clvi_cpu_detect());
    session->base = (clvi_plan_base){.graph = graph, .context = context, .kernels = &session->kernels};
    if ((st = set_fetches(session, opts, err)) != CLV_OK || (st = find_wanted(session, err)) != CLV_OK ||
        (st = choose_fuse(session, opts, err)) != CLV_OK || (st = check_supported(session, err)) != CLV_OK ||
        (st = convert_constants(session, err)) != CLV_OK)
        goto out;
    if (opts && opts->profile &&
        !(session->node_seconds = clvi_arena_calloc(session->arena, graph->n_nodes, sizeof *session->node_seconds))) {
        st = FAIL(err, CLV_ERR_NOMEM, "profile of %zu nodes", graph->n_nodes);
        goto out;
    }
    *out = session;
    session = NULL;
out:
    clvi_session_free(session);
    return st;
}

void clvi_session_free(clvi_session *session)
{
    if (!session)
        return;
    for (size_t i = 0; i < PLANS; i++)
        clvi_plan_free(session->plans[i]);
    clvi_arena_free(session->arena);
    clvi_free(session);
}

/* --- running --------------------------------------------------------------------------------------------------- */

/* "[1,3,?,32]": dims below 0 are free. A longer text is cut. */
static void print_shape(char *to, size_t size, int rank, const int64_t *dims)
{
    size_t at = (size_t)snprintf(to, size, "[");
    for (int j = 0; j < rank && at < size; j++) {
        const char *const comma = j > 0 ? "," : "";
        at += (size_t)(dims[j] < 0 ? snprintf(to + at, size - at, "%s?", comma)
                                   : snprintf(to + at, size - at, "%s%lld", comma, (long long)dims[j]));
    }
    if (at < size)
        (void)snprintf(to + at, size - at, "]");
}

static bool dtype_accepted(clv_dtype given, clv_dtype declared)
{
    if (clv_dtype_size(given) == 0)
        return false;
    return declared == CLV_DTYPE_NONE || clvi_compute_dtype(given) == clvi_compute_dtype(declared);
}

/* The tensor given for input i is what the model declares and can be read. */
static clv_status check_input(const clvi_graph *graph, size_t i, const clv_tensor *given, clv_error *err)
{
    const clvi_value *const value = &graph->values[graph->inputs[i]];
    size_t bytes;
    char got[120], want[120];
    if (given->rank < 0 || given->rank > CLV_MAX_RANK || !clvi_tensor_bytes(given, &bytes))
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": no usable shape given (rank %d)", value->name, given->rank);
    if (!dtype_accepted(given->dtype, value->dtype))
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": %s given, the model wants %s", value->name,
                    clv_dtype_name(given->dtype), clv_dtype_name(value->dtype));
    bool fits = value->rank < 0 || value->rank == given->rank;
    for (int j = 0; j < value->rank && fits; j++)
        fits = value->dims[j] < 0 || value->dims[j] == given->dims[j];
    if (!fits) {
        print_shape(got, sizeof got, given->rank, given->dims);
        print_shape(want, sizeof want, value->rank, value->dims);
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": shape %s given, the model wants %s", value->name, got, want);
    }
    if (bytes > 0 && !given->data)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": no data given", value->name);
    if ((uintptr_t)given->data % clv_dtype_size(given->dtype) != 0)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": data are not aligned to their element size", value->name);
    return CLV_OK;
}

/* The plan for these inputs, moved to the front; the least recently used one makes room for a new one. */
static clv_status choose_plan(clvi_session *session, const clv_tensor *inputs, clv_error *err)
{
    size_t at = 0;
    while (at < PLANS && session->plans[at] && !clvi_plan_fits(session->plans[at], inputs))
        at++;
    clvi_plan *chosen = at < PLANS ? session->plans[at] : NULL;
    if (!chosen) {
        TRY(clvi_plan_create(&chosen, &session->base, inputs, err));
        if (at == PLANS)
            clvi_plan_free(session->plans[--at]);
    }
    memmove(session->plans + 1, session->plans, at * sizeof(clvi_plan *));
    session->plans[0] = chosen;
    return CLV_OK;
}

clv_status clvi_session_run(clvi_session *session, const clv_tensor *inputs, size_t n_inputs, clv_tensor *outputs,
                            clv_error *err)
{
    const clvi_graph *const graph = session->base.graph;
    if (n_inputs != graph->n_inputs)
        return FAIL(err, CLV_ERR_ARG, "%zu inputs given, the model has %zu", n_inputs, graph->n_inputs);
    for (size_t i = 0; i < n_inputs; i++)
        if (session->base.wanted_input[i])
            TRY(check_input(graph, i, &inputs[i], err));
    TRY(choose_plan(session, inputs, err));
    return clvi_plan_run(session->plans[0], inputs, outputs, session->node_seconds, err);
}

size_t clvi_session_peak_bytes(const clvi_session *session)
{
    return session->plans[0] ? session->plans[0]->block_bytes : 0;
}

double clvi_session_node_seconds(const clvi_session *session, size_t node)
{
    return session->node_seconds && node < session->base.graph->n_nodes ? session->node_seconds[node] : 0;
}

const clvi_plan *clvi_session_plan(const clvi_session *session)
{
    return session->plans[0];
}

size_t clvi_session_profile(const clvi_session *session, clvi_profile_row *rows, size_t max)
{
    const clvi_plan *const plan = session->plans[0];
    for (size_t s = 0; plan && s < plan->n_steps && s < max; s++)
        rows[s] = plan->steps[s].profile;
    return plan ? plan->n_steps : 0;
}
