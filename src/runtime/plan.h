/* SPDX-License-Identifier: Apache-2.0 */
/* A graph made ready for inputs of given shapes: shapes, folded constants, steps, one block of memory.
 *
 * A value may exist in two forms: dense as ONNX has it (NCHW), and as pixels (channels last). A slot names one form of
 * one value: slot v < n_values is the dense form of value v, slot n_values + v its pixels. Where the image is a single
 * pixel the two are the same memory and only slot v is used. */
#ifndef CLVI_RUNTIME_PLAN_H
#define CLVI_RUNTIME_PLAN_H

#include "base/context.h"
#include "ops/op.h"
#include "ops/pixels.h"
#include "runtime/profile.h"
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
    unsigned fuse;            /* clvi_fuse bits that are on */
} clvi_plan_base;

/* An operator of ops/ as it is, on dense values or on pixels, or a pixel step. */
typedef struct clvi_step {
    size_t node;       /* whose time it counts as */
    const clvi_op *op; /* NULL: pixel */
    clvi_op_call call;
    clvi_pixel_step *pixel; /* reads: x, add, scale, other; writes: y, rest. A conversion's dense side is its tensor */
    const int32_t *reads, *writes; /* slots, or CLVI_NONE */
    size_t n_reads, n_writes;
    clvi_profile_row profile;
} clvi_step;

/* Lives in one arena, shapes.arena, with the activation block and the scratch beside it. */
typedef struct clvi_plan {
    clvi_plan_base base;
    clvi_shapes shapes;  /* data of every value: constants and activations are set, inputs at each run */
    clv_tensor *pixels;  /* [n_values] the channels-last form, [n, h, w, c]; rank -1: none */
    clv_tensor *inputs;  /* [n_inputs] the shapes and types it was made for; rank -1: not wanted */
    void **staged;       /* [n_inputs] where a wanted input is copied to, as float32; NULL: used where it is */
    int32_t *whole;      /* [slots] what a slot's pixels are a range of channels of, or CLVI_NONE */
    size_t *whole_bytes; /* [slots] where that range begins in a pixel */
    clvi_step *steps;
    size_t n_steps;
    void **returned;    /* [n_fetch] where a fetch is converted to its declared type; NULL: handed out as it is */
    clvi_arena *packed; /* weights of pixel steps */
    void *block, *work;
    size_t block_bytes, work_bytes;
    struct clvi_interval
        *buffers; /* [n_buffers] pieces of the block; several slots share one where a step works in place */
    size_t n_buffers;
    int32_t
        *buffer; /* [2 * n_values] of each slot, an index into buffers; CLVI_NONE: constants, inputs where they are */
} clvi_plan;

/* The plan of a session that ran last; NULL before the first run. Views. */
const clvi_plan *clvi_session_plan(const clvi_session *session);

/* Gives *out (clvi_plan_free). inputs: as clvi_session_run, checked; data ignored. Takes time: packs weights. */
clv_status clvi_plan_create(clvi_plan **out, const clvi_plan_base *base, const clv_tensor *inputs, clv_error *err);
void clvi_plan_free(clvi_plan *plan); /* NULL-safe */

bool clvi_plan_fits(const clvi_plan *plan, const clv_tensor *inputs);

/* inputs as clvi_session_run; node_seconds[n_nodes] is added to, or NULL. Does not allocate. */
clv_status clvi_plan_run(clvi_plan *plan, const clv_tensor *inputs, clv_tensor *outputs, double *node_seconds,
                         clv_error *err);

/* --- the parts of a plan's making ------------------------------------------------------------------------------- */

/* plan_steps.c: of the wanted nodes those that are still needed, in order, as steps; decides what is fused and where
 * the layout changes. Packs the weights of pixel steps. */
clv_status clvi_plan_steps(clvi_plan *plan, clv_error *err);

/* plan_memory.c: an address for every slot that a step writes. */
clv_status clvi_plan_memory(clvi_plan *plan, clv_error *err);

/* The tensor of a slot. */
clv_tensor *clvi_plan_slot(const clvi_plan *plan, int32_t slot);

/* Sizes come from the file and the caller: more than the machine has is refused here, not when it is written. */
clv_status clvi_plan_block(void **out, size_t bytes, const char *what, clv_error *err);

bool clvi_plan_fetches(const clvi_plan_base *base, int32_t value);

/* A fetch that is a graph output comes back in the floating type that is declared for it. */
clv_dtype clvi_plan_returned(const clvi_plan *plan, int32_t value);

#endif
