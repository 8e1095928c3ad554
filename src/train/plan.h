/* SPDX-License-Identifier: Apache-2.0 */
/* A training plan: forward and backward over a graph for one batch size, compiled once, run many times.
 *
 * The batch is cut into `lanes` of equal size, whose number does not depend on the threads; each lane runs the whole
 * network on one worker, and the gradients of the lanes are added in order, so the bits do not depend on the number of
 * threads. Lanes meet only where an operator needs the whole batch (BatchNorm in training mode).
 *
 * The ranks of the context, when it has some, take equal shares of the lanes, in order: rank r of R those from
 * r lanes / R on. Sums are still taken over all lanes in order, so the bits do not depend on the number of ranks
 * either, and parameters stay the same everywhere. Inputs and heads are those of the own lanes.
 *
 * Inside a plan, values of rank 4 are stored channels last, [n, h, w, c]; all others as ONNX has them. Parameters are
 * stored as ONNX has them, one after the other in one vector. */
#ifndef CLVI_TRAIN_PLAN_H
#define CLVI_TRAIN_PLAN_H

#include "base/context.h"
#include "graph/graph.h"

typedef struct clvi_tplan clvi_tplan;

typedef struct clvi_tplan_opts {
    int64_t batch;        /* images a step, over all ranks */
    int64_t lanes;        /* divides batch; a multiple of the ranks */
    const int32_t *heads; /* values that the caller reads, and whose gradients it gives; NULL: the graph's outputs */
    size_t n_heads;
    bool whiten;     /* convolutions gather what clvi_white_move needs */
    bool backward;   /* false: forward only, with less memory */
    bool batch_norm; /* BatchNormalization normalises with the batch's statistics, and tracks them; else with its own */
} clvi_tplan_opts;

/* Graph and context are borrowed until the plan is freed; the graph must not change. One float input [n, ...]; values
 * may have symbolic sizes besides the batch only when `input` (borrowed, no data) settles them; its dims[0] is ignored.
 * CLV_ERR_UNSUP names the operator that has no gradient, or depends on more than one image. */
clv_status clvi_tplan_create(clvi_tplan **out, const clvi_graph *graph, const clv_tensor *input,
                             const clvi_tplan_opts *opts, clv_context *context, clv_error *err);
void clvi_tplan_free(clvi_tplan *plan); /* NULL-safe */

/* Given between forward and backward of a lane; called by several workers at once, with different lanes. It reads the
 * heads of the lane and writes all of their gradients. NULL: forward alone. */
typedef clv_status (*clvi_tloss)(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err);

/* One step: input [batch / ranks, ...] float32 in ONNX order, borrowed. After it clvi_tplan_gradient holds the sum over
 * the lanes. Allocates nothing. */
clv_status clvi_tplan_run(clvi_tplan *plan, const float *input, clvi_tloss loss, void *user, clv_error *err);

/* The lanes of this rank are number `*first` up to `*first + return value` of the batch. */
size_t clvi_tplan_own_lanes(const clvi_tplan *plan, size_t *first);

/* The heads of one lane: [count / lanes] floats, channels last where rank is 4. Valid until the next run. */
const float *clvi_tplan_head(const clvi_tplan *plan, size_t lane, size_t head);
float *clvi_tplan_head_gradient(const clvi_tplan *plan, size_t lane, size_t head);
/* Shape of a head of one lane, in ONNX order; data NULL. */
const clv_tensor *clvi_tplan_head_shape(const clvi_tplan *plan, size_t head);

/* --- parameters -------------------------------------------------------------------------------------------------- */

typedef struct clvi_tparam {
    int32_t value; /* of the graph */
    const char *name;
    size_t offset, count; /* in the vectors below */
    bool white;           /* moves by clvi_white_move */
    bool decay;           /* a matrix or a kernel: weight decay applies; biases and norms: not */
} clvi_tparam;

size_t clvi_tplan_params(const clvi_tplan *plan, const clvi_tparam **list);
size_t clvi_tplan_size(const clvi_tplan *plan);           /* floats of the vector */
float *clvi_tplan_theta(const clvi_tplan *plan);          /* may be changed between steps */
const float *clvi_tplan_gradient(const clvi_tplan *plan); /* of the last step */
/* Running means and variances of BatchNorm (batch_norm alone). */
float *clvi_tplan_state(const clvi_tplan *plan, size_t *count);

/* Write parameters (theta: NULL: the plan's) and running statistics into the initializers of `graph`, a clone of the
 * plan's with the same value ids. */
clv_status clvi_tplan_store(const clvi_tplan *plan, const float *theta, clvi_graph *graph, clv_error *err);

struct clvi_white;
size_t clvi_tplan_whites(const clvi_tplan *plan, struct clvi_white *const **list); /* with opts.whiten */
double *clvi_tplan_white_state(const clvi_tplan *plan, size_t *count);             /* of all, for checkpoints */

size_t clvi_tplan_bytes(const clvi_tplan *plan); /* of activations and gradients, all lanes */

/* Run the last step again and look after each node: the first one, in order, whose result or gradient holds a NaN or an
 * Inf, as a phrase for a message; NULL: none. */
const char *clvi_tplan_diagnose(clvi_tplan *plan, const float *input, clvi_tloss loss, void *user);

#endif
