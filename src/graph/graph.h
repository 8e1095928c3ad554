/* SPDX-License-Identifier: Apache-2.0 */
/* The network: values, nodes, attributes. ONNX semantics: operators by their ONNX names and opset versions, NCHW.
 *
 * A graph owns one arena; everything it points to lives there and dies with it. Values are named by an id, an index
 * into graph->values that never changes; nodes stand in topological order. What the library does not understand rides
 * along as `raw` bytes, which only src/onnx/ reads and writes, so that a model survives a read and a write.
 *
 * Not thread-safe while it is changed; any number of threads may read. */
#ifndef CLVI_GRAPH_GRAPH_H
#define CLVI_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "cleave/tensor.h"

#define CLVI_NONE (-1) /* no value: an optional input or output that is left out */

typedef struct clvi_blob {
    const uint8_t *data;
    size_t size;
} clvi_blob;

/* Numbered as ONNX AttributeProto.AttributeType; other kinds are kept as raw bytes alone. */
typedef enum clvi_attr_kind {
    CLVI_ATTR_OTHER = 0,
    CLVI_ATTR_FLOAT = 1,
    CLVI_ATTR_INT = 2,
    CLVI_ATTR_STRING = 3,
    CLVI_ATTR_TENSOR = 4,
    CLVI_ATTR_FLOATS = 6,
    CLVI_ATTR_INTS = 7,
    CLVI_ATTR_STRINGS = 8
} clvi_attr_kind;

typedef struct clvi_attr {
    const char *name;
    clvi_attr_kind kind;
    float f;                  /* FLOAT */
    int64_t i;                /* INT */
    clvi_blob s;              /* STRING: not NUL-terminated by contract, but a NUL follows data */
    const clv_tensor *tensor; /* TENSOR */
    size_t count;             /* of the list below */
    const float *floats;      /* FLOATS */
    const int64_t *ints;      /* INTS */
    const clvi_blob *strings; /* STRINGS */
    clvi_blob raw;            /* the AttributeProto as it was read: written back verbatim; empty: written from above */
} clvi_attr;

typedef struct clvi_node {
    const char *name;   /* "" when it has none */
    const char *domain; /* "" is ai.onnx */
    const char *op_type;
    int32_t *in; /* value ids or CLVI_NONE */
    size_t n_in;
    int32_t *out; /* value ids or CLVI_NONE */
    size_t n_out;
    int32_t *capture; /* outer values that the node's subgraphs read */
    size_t n_capture;
    const char **capture_name; /* [n_capture] how the subgraphs call them; only src/onnx/ needs it */
    clvi_attr *attr;
    size_t n_attr;
    clvi_blob raw; /* a NodeProto of whatever is not above: doc string, overload, metadata, unknown fields */
} clvi_node;

typedef struct clvi_value {
    const char *name;
    clv_dtype dtype;                     /* CLV_DTYPE_NONE: not declared */
    int rank;                            /* declared; -1: unknown */
    int64_t dims[CLV_MAX_RANK];          /* declared; -1: unknown or symbolic */
    const char *dim_names[CLV_MAX_RANK]; /* the symbol, e.g. "batch", or NULL */
    const clv_tensor *constant;          /* initializer, with data; NULL for all else */
    bool is_input;                       /* of the graph; an initializer may be one too (IR < 4) */
    bool is_output;
    clvi_blob raw_info;   /* the ValueInfoProto as it was read, or empty */
    clvi_blob raw_tensor; /* initializer: TensorProto fields beside name, dims, type and data */
    bool external;        /* initializer was stored outside the model file */
    bool opaque;          /* initializer that has no dense array here: strings, sparse, newer types */
    bool keep;            /* initializer that nothing used when it was read: passes leave it alone */
} clvi_value;

typedef struct clvi_opset {
    const char *domain;
    int64_t version;
} clvi_opset;

typedef struct clvi_metadata {
    const char *key, *value;
} clvi_metadata;

typedef struct clvi_graph {
    clvi_arena *arena;
    const char *name;
    int64_t ir_version;
    clvi_opset *opsets;
    size_t n_opsets;
    clvi_metadata *metadata; /* ModelProto.metadata_props */
    size_t n_metadata;

    clvi_value *values;
    size_t n_values;
    clvi_node **nodes; /* topological order */
    size_t n_nodes;
    int32_t *inputs; /* declared graph inputs in order, without those that are initializers */
    size_t n_inputs;
    int32_t *outputs;
    size_t n_outputs;

    clvi_blob raw; /* a ModelProto of whatever is not above: functions, producer, sparse tensors, ... */

    size_t values_capacity, nodes_capacity; /* private to graph.c, as is the index of names */
    struct clvi_names *names;
} clvi_graph;

/* Gives *out, empty: no nodes, opset list empty. */
clv_status clvi_graph_create(clvi_graph **out, clv_error *err);
void clvi_graph_free(clvi_graph *graph); /* NULL-safe */

/* A deep copy with the same value ids; shares nothing with the original. */
clv_status clvi_graph_clone(clvi_graph **out, const clvi_graph *graph, clv_error *err);

/* --- building ------------------------------------------------------------------------------------------------ */

/* A new value called `name`, or name_1, name_2, ... when that is taken; name is copied. Returns its id in *id.
 * A name never changes but by clvi_graph_redirect: an index of all names is kept. */
clv_status clvi_graph_add_value(clvi_graph *graph, const char *name, int32_t *id, clv_error *err);

/* A new initializer; the tensor's data are copied into the arena. */
clv_status clvi_graph_add_constant(clvi_graph *graph, const char *name, const clv_tensor *tensor, int32_t *id,
                                   clv_error *err);

/* A new graph input (dims -1: unknown; rank -1: no shape), and a value declared to be the next graph output. */
clv_status clvi_graph_add_input(clvi_graph *graph, const char *name, const clv_tensor *type, int32_t *id,
                                clv_error *err);
clv_status clvi_graph_add_output(clvi_graph *graph, int32_t id, clv_error *err);

/* Import an operator set, or change the version of one that is imported. */
clv_status clvi_graph_set_opset(clvi_graph *graph, const char *domain, int64_t version, clv_error *err);

/* No value added later gets this name: it is in use inside a subgraph. */
clv_status clvi_graph_reserve_name(clvi_graph *graph, const char *name, clv_error *err);

/* The id of the value called `name`, or CLVI_NONE. */
int32_t clvi_graph_find_value(const clvi_graph *graph, const char *name);

/* A node outside the graph, allocated in its arena; in and out are copied, attributes follow with the setters below.
 * NULL when memory is short. */
clvi_node *clvi_node_new(clvi_graph *graph, const char *op_type, const char *name, const int32_t *in, size_t n_in,
                         const int32_t *out, size_t n_out);

clv_status clvi_node_set_ints(clvi_graph *graph, clvi_node *node, const char *name, const int64_t *ints, size_t count,
                              clv_error *err);
clv_status clvi_node_set_int(clvi_graph *graph, clvi_node *node, const char *name, int64_t i, clv_error *err);
clv_status clvi_node_set_float(clvi_graph *graph, clvi_node *node, const char *name, float f, clv_error *err);
clv_status clvi_node_set_string(clvi_graph *graph, clvi_node *node, const char *name, const char *s, clv_error *err);
clv_status clvi_node_set_tensor(clvi_graph *graph, clvi_node *node, const char *name, const clv_tensor *tensor,
                                clv_error *err);

/* Append a node; its inputs must be produced before. */
clv_status clvi_graph_append(clvi_graph *graph, clvi_node *node, clv_error *err);

/* Put `count` nodes in the place of node `index` (count 0 removes it). The order must stay topological. */
clv_status clvi_graph_replace(clvi_graph *graph, size_t index, clvi_node *const *nodes, size_t count, clv_error *err);

/* Every use of value `from` (node inputs, captures, graph outputs) becomes `to`. When `from` is a graph output its name
 * and declared type are kept: the two values swap them. When `to` is itself a graph input or output (or opaque), its
 * name is fixed too: then the graph output stays with `from`, whose producer must stay, and false is returned. */
bool clvi_graph_redirect(clvi_graph *graph, int32_t from, int32_t to);

/* The model's metadata entry `key`, or NULL; setting replaces or adds. */
const char *clvi_graph_metadata(const clvi_graph *graph, const char *key);
clv_status clvi_graph_set_metadata(clvi_graph *graph, const char *key, const char *value, clv_error *err);

/* --- reading ------------------------------------------------------------------------------------------------- */

/* Version of the operator set `domain` ("" or "ai.onnx" mean the default), 0 when it is not imported. */
int64_t clvi_graph_opset(const clvi_graph *graph, const char *domain);

const clvi_attr *clvi_node_attr(const clvi_node *node, const char *name); /* NULL: absent */
int64_t clvi_node_int(const clvi_node *node, const char *name, int64_t absent);
float clvi_node_float(const clvi_node *node, const char *name, float absent);
/* NUL-terminated string attribute or `absent`. */
const char *clvi_node_string(const clvi_node *node, const char *name, const char *absent);
/* INTS attribute; count 0 and NULL when absent. */
const int64_t *clvi_node_ints(const clvi_node *node, const char *name, size_t *count);

bool clvi_node_is(const clvi_node *node, const char *op_type); /* in the default domain */

/* How a node is called in messages: its name, else its first output's name, else its operator. */
const char *clvi_node_label(const clvi_graph *graph, const clvi_node *node);

/* Who makes and who reads each value, valid until the graph changes. */
typedef struct clvi_uses {
    int32_t *producer; /* [n_values] node index or CLVI_NONE */
    int32_t *first;    /* [n_values + 1]: consumers of v are consumer[first[v] .. first[v+1]) */
    int32_t *consumer; /* node indices, ascending; a node that reads v twice is listed twice; captures count */
} clvi_uses;

clv_status clvi_uses_create(clvi_uses *out, const clvi_graph *graph, clv_error *err);
void clvi_uses_free(clvi_uses *uses);

/* Structure check: ids in range, one producer a value, topological order, outputs exist, constants consistent.
 * CLV_ERR_FORMAT names the node and the value. */
clv_status clvi_graph_verify(const clvi_graph *graph, clv_error *err);

#endif
