/* SPDX-License-Identifier: Apache-2.0 */
/* A graph made ready for inputs of given shapes: shapes, folded constants, prepared operators, one block of memory. */
#ifndef CLVI_RUNTIME_PLAN_H
#define CLVI_RUNTIME_PLAN_H

#include "base/context.h"
#include "ops/op.h"
#include "runtime/session.h"

/* What every plan of a session shares; all borrowed. */
typedef struct clvi_plan_base {
    const clvi_graph *graph;
    clv_context *context; /* may be NULL: one thread */
    const clvi_kernels *kernels;
    const clv_tensor *constants; /* [n_values] from clvi_infer_constants */
    const int32_t *fetch;
    size_t n_fetch;
    const bool *wanted;       /* [n_nodes] nodes that a fetch needs */
    const bool *wanted_input; /* [n_inputs] */
} clvi_plan_base;

typedef struct clvi_step {
    size_t node;
    const clvi_op *op;
    clvi_op_call call;
} clvi_step;

/* Lives in one arena, shapes.arena, with the activation block and the scratch beside it. */
typedef struct clvi_plan {
    clvi_plan_base base;
    clvi_shapes shapes; /* data of every value: constants and activations are set, inputs at each run */
    clv_tensor *inputs; /* [n_inputs] the shapes and types it was made for; rank -1: not wanted */
    void **staged;      /* [n_inputs] where a wanted input is copied to, as float32; NULL: used where it is */
    clvi_step *steps;
    size_t n_steps;
    void **returned; /* [n_fetch] where a fetch is converted to its declared type; NULL: handed out as it is */
    void *block, *work;
    size_t block_bytes;
} clvi_plan;

/* Gives *out (clvi_plan_free). inputs: as clvi_session_run, checked; data ignored. Takes time: packs weights. */
clv_status clvi_plan_create(clvi_plan **out, const clvi_plan_base *base, const clv_tensor *inputs, clv_error *err);
void clvi_plan_free(clvi_plan *plan); /* NULL-safe */

bool clvi_plan_fits(const clvi_plan *plan, const clv_tensor *inputs);

/* inputs as clvi_session_run; node_seconds[n_nodes] is added to, or NULL. Does not allocate. */
clv_status clvi_plan_run(clvi_plan *plan, const clv_tensor *inputs, clv_tensor *outputs, double *node_seconds,
                         clv_error *err);

#endif
