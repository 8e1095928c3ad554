/* SPDX-License-Identifier: Apache-2.0 */
/* Names inside nested graphs (the branches of If, the bodies of Loop and Scan), and those they take from outside. */
#include "onnx/onnx_proto.h"

bool clvi_scope_has(const clvi_scope *scope, const char *name)
{
    for (; scope; scope = scope->outer)
        if (clvi_names_find(&scope->names, name))
            return true;
    return false;
}

static clv_status define(clvi_scope *scope, const char *name, const clvi_scope_visitor *visitor, clvi_arena *work,
                         clv_error *err)
{
    if (!name || !name[0] || clvi_names_find(&scope->names, name))
        return CLV_OK;
    if (!clvi_names_put(&scope->names, work, name, 0))
        return clvi_proto_no_memory(err);
    return visitor->local_name ? visitor->local_name(visitor->arg, name, err) : CLV_OK;
}

static clv_status define_all(clvi_scope *scope, const Onnx__GraphProto *graph, const clvi_scope_visitor *visitor,
                             clvi_arena *work, clv_error *err)
{
    for (size_t i = 0; i < graph->n_input; i++)
        TRY(define(scope, graph->input[i]->name, visitor, work, err));
    for (size_t i = 0; i < graph->n_initializer; i++)
        TRY(define(scope, graph->initializer[i]->name, visitor, work, err));
    for (size_t i = 0; i < graph->n_sparse_initializer; i++)
        if (graph->sparse_initializer[i]->values)
            TRY(define(scope, graph->sparse_initializer[i]->values->name, visitor, work, err));
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t j = 0; j < graph->node[i]->n_output; j++)
            TRY(define(scope, graph->node[i]->output[j], visitor, work, err));
    return CLV_OK;
}

static clv_status read_name(const clvi_scope *scope, char **name, const clvi_scope_visitor *visitor, clv_error *err)
{
    if (!*name || !(*name)[0] || clvi_scope_has(scope, *name))
        return CLV_OK;
    return visitor->free_name(visitor->arg, name, scope, err);
}

static clv_status walk_attr(Onnx__AttributeProto *attr, const clvi_scope *outer, const clvi_scope_visitor *visitor,
                            clvi_arena *work, clv_error *err);

static clv_status walk_graph(Onnx__GraphProto *graph, const clvi_scope *outer, const clvi_scope_visitor *visitor,
                             clvi_arena *work, clv_error *err)
{
    clvi_scope scope = {.outer = outer};
    TRY(define_all(&scope, graph, visitor, work, err));
    for (size_t i = 0; i < graph->n_node; i++) {
        Onnx__NodeProto *node = graph->node[i];
        for (size_t j = 0; j < node->n_input; j++)
            TRY(read_name(&scope, &node->input[j], visitor, err));
        for (size_t j = 0; j < node->n_attribute; j++)
            TRY(walk_attr(node->attribute[j], &scope, visitor, work, err));
    }
    for (size_t i = 0; i < graph->n_output; i++)
        TRY(read_name(&scope, &graph->output[i]->name, visitor, err));
    return CLV_OK;
}

/* As deep as messages may be nested, which clvi_onnx_scan bounds. */
static clv_status walk_attr(Onnx__AttributeProto *attr, const clvi_scope *outer, const clvi_scope_visitor *visitor,
                            clvi_arena *work, clv_error *err)
{
    if (attr->g)
        TRY(walk_graph(attr->g, outer, visitor, work, err));
    for (size_t i = 0; i < attr->n_graphs; i++)
        TRY(walk_graph(attr->graphs[i], outer, visitor, work, err));
    return CLV_OK;
}

clv_status clvi_scope_walk(Onnx__AttributeProto *attr, const clvi_scope_visitor *visitor, clvi_arena *work,
                           clv_error *err)
{
    return walk_attr(attr, NULL, visitor, work, err);
}
