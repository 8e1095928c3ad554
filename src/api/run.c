/* SPDX-License-Identifier: Apache-2.0 */
#include "cleave/run.h"

#include <inttypes.h>
#include <string.h>

#include "api/model.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/session.h"

struct clv_session {
    const clvi_graph *graph;
    clvi_session *session;
    int32_t *fetch; /* [n_outputs] value ids */
    size_t n_outputs;
    clv_tensor *inputs; /* [n_inputs] room for putting named inputs in order */
};

static clv_status choose_fetch(clv_session *s, const char *const *names, size_t n, clv_error *err)
{
    const clvi_graph *graph = s->graph;
    s->n_outputs = names ? n : graph->n_outputs;
    s->fetch = clvi_alloc_array(s->n_outputs, sizeof *s->fetch);
    s->inputs = clvi_calloc(graph->n_inputs, sizeof *s->inputs);
    if (!s->fetch || !s->inputs)
        return FAIL(err, CLV_ERR_NOMEM, "session with %zu outputs", s->n_outputs);
    for (size_t i = 0; i < s->n_outputs; i++) {
        s->fetch[i] = names ? clvi_graph_find_value(graph, names[i]) : graph->outputs[i];
        if (s->fetch[i] == CLVI_NONE)
            return FAIL(err, CLV_ERR_ARG, "the model has no tensor \"%s\"", names[i]);
    }
    return CLV_OK;
}

clv_status clv_session_create(clv_session **out, const clv_model *model, const char *const *fetch, size_t n_fetch,
                              clv_context *context, clv_error *err)
{
    *out = NULL;
    clv_session *s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "session");
    s->graph = model->graph;
    clv_status st = choose_fetch(s, fetch, n_fetch, err);
    if (st == CLV_OK) {
        const clvi_session_opts opts = {.fetch = s->fetch, .n_fetch = s->n_outputs};
        st = clvi_session_create(&s->session, s->graph, &opts, context, err);
    }
    if (st == CLV_OK) {
        *out = s;
        s = NULL;
    }
    clv_session_free(s);
    return st;
}

void clv_session_free(clv_session *session)
{
    if (!session)
        return;
    clvi_session_free(session->session);
    clvi_free(session->fetch);
    clvi_free(session->inputs);
    clvi_free(session);
}

size_t clv_session_outputs(const clv_session *session)
{
    return session->n_outputs;
}

const char *clv_session_output_name(const clv_session *session, size_t index)
{
    return index < session->n_outputs ? session->graph->values[session->fetch[index]].name : NULL;
}

static clv_status check_input(const clvi_value *v, const clv_tensor *t, clv_error *err)
{
    if (t->rank < 0 || t->rank > CLV_MAX_RANK || clv_tensor_count(t) < 0 || (!t->data && clv_tensor_count(t) > 0))
        return FAIL(err, CLV_ERR_ARG, "input \"%s\" has no data, a rank of %d or a negative dimension", v->name,
                    t->rank);
    if (v->dtype != CLV_DTYPE_NONE && t->dtype != v->dtype)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\" is %s, %s was given", v->name, clv_dtype_name(v->dtype),
                    clv_dtype_name(t->dtype));
    if (v->rank >= 0 && v->rank != t->rank)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\" has %d dimensions, %d were given", v->name, v->rank, t->rank);
    for (int d = 0; d < v->rank; d++)
        if (v->dims[d] >= 0 && v->dims[d] != t->dims[d])
            return FAIL(err, CLV_ERR_ARG, "input \"%s\" has size %" PRId64 " in dimension %d, %" PRId64 " was given",
                        v->name, v->dims[d], d, t->dims[d]);
    return CLV_OK;
}

clv_status clv_session_run(clv_session *session, const clv_tensor *inputs, size_t n_inputs, clv_tensor *outputs,
                           size_t n_outputs, clv_error *err)
{
    const clvi_graph *g = session->graph;
    if (n_inputs != g->n_inputs || n_outputs != session->n_outputs)
        return FAIL(err, CLV_ERR_ARG, "%zu inputs and %zu outputs were given, the session has %zu and %zu", n_inputs,
                    n_outputs, g->n_inputs, session->n_outputs);
    for (size_t i = 0; i < n_inputs; i++)
        TRY(check_input(&g->values[g->inputs[i]], &inputs[i], err));
    return clvi_session_run(session->session, inputs, n_inputs, outputs, err);
}

/* CLV_ERR_ARG with what is wrong about `name` and the list of the inputs. */
static clv_status wrong_name(const clvi_graph *g, const char *what, const char *name, clv_error *err)
{
    clvi_str list = {0};
    for (size_t i = 0; i < g->n_inputs; i++)
        clvi_str_printf(&list, "%s\"%s\"", i ? ", " : "", g->values[g->inputs[i]].name);
    const clv_status st =
        FAIL(err, CLV_ERR_ARG, "input \"%s\" %s; the model has %s", name, what, list.text ? list.text : "none");
    clvi_str_free(&list);
    return st;
}

clv_status clv_session_run_named(clv_session *session, const char *const *names, const clv_tensor *inputs,
                                 size_t n_inputs, clv_tensor *outputs, size_t n_outputs, clv_error *err)
{
    const clvi_graph *g = session->graph;
    for (size_t k = 0; k < n_inputs; k++) {
        size_t i = 0;
        while (i < g->n_inputs && strcmp(g->values[g->inputs[i]].name, names[k]) != 0)
            i++;
        if (i == g->n_inputs)
            return wrong_name(g, "does not exist", names[k], err);
        for (size_t j = 0; j < k; j++)
            if (strcmp(names[j], names[k]) == 0)
                return wrong_name(g, "is given twice", names[k], err);
        session->inputs[i] = inputs[k];
    }
    for (size_t i = 0; i < g->n_inputs; i++) {
        size_t k = 0;
        while (k < n_inputs && strcmp(g->values[g->inputs[i]].name, names[k]) != 0)
            k++;
        if (k == n_inputs)
            return wrong_name(g, "is missing", g->values[g->inputs[i]].name, err);
    }
    return clv_session_run(session, session->inputs, g->n_inputs, outputs, n_outputs, err);
}
