/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c makes, plan_memory.c places and plan_run.c runs. */
#ifndef CLVI_TRAIN_PLAN_PRIVATE_H
#define CLVI_TRAIN_PLAN_PRIVATE_H

#include "base/mem.h"
#include "ranks/ranks.h"
#include "runtime/infer.h"
#include "train/node.h"

typedef enum clvi_tevent_kind {
    CLVI_T_GATHER,
    CLVI_T_SETTLE, /* all lanes are waited for */
    CLVI_T_FORWARD,
    CLVI_T_LOSS,
    CLVI_T_GATHER_BACK,
    CLVI_T_SETTLE_BACK,
    CLVI_T_BACKWARD
} clvi_tevent_kind;

typedef struct clvi_tevent {
    clvi_tevent_kind kind;
    clvi_tnode *node;
} clvi_tevent;

struct clvi_tplan {
    const clvi_graph *graph;
    clv_context *context;
    clvi_pool *pool;
    int workers;
    clvi_tplan_opts opts;
    int64_t lane_batch;
    int32_t *heads; /* [n_heads] in arena */
    size_t n_heads;
    int32_t input;
    clvi_shapes shapes; /* at the batch of a lane; its arena holds all small things */
    clvi_arena *arena;
    const clvi_loops *loops;
    clvi_dnn dnn;

    clvi_tnode *nodes; /* those that the heads need, in order */
    size_t n_nodes;
    clvi_tevent *events;
    size_t n_events, n_forward; /* events before the loss */

    clvi_tparam *params;
    size_t n_params, size;
    int32_t *param_of; /* [n_values] index into params or CLVI_NONE */
    float *theta, *gradient;
    float *state; /* running statistics */
    size_t n_state;
    int32_t *state_of; /* [n_values] offset in state or CLVI_NONE */

    struct clvi_white **white; /* [n_white], each owned by its node */
    size_t n_white;
    double *white_state; /* of all of them */
    size_t n_white_state;

    bool *wants; /* [n_values] depends on a parameter */
    bool *live;  /* [n_values] has a gradient */

    clvi_tlane *lanes;
    size_t n_lanes, first_lane; /* of this rank */
    struct clv_ranks *ranks;    /* NULL: alone */
    float *outgoing, *incoming; /* [ranks][n_lanes][share] gradients on their way; NULL: alone */
    size_t lane_bytes;
    float **temp; /* [workers] */
    size_t temp_floats;

    /* of the run in progress */
    const float *in;
    clvi_tloss loss;
    void *user;
    size_t from, to;    /* events of this segment */
    clv_status *status; /* [lanes] */
    clv_error *errors;  /* [lanes] */
    bool diagnose;
    char suspect[160];
};

bool clvi_tplan_is_head(const clvi_tplan *plan, int32_t value);

/* The state of all that whitens. */
clv_status clvi_tplan_place_whites(clvi_tplan *plan, clv_error *err);

/* The vector of gradients, rounded up to a share for each rank. */
size_t clvi_tplan_shares(const clvi_tplan *plan);
clv_status clvi_tplan_place_shares(clvi_tplan *plan, clv_error *err);

/* Before settle or settle_back: what gather wrote on other ranks. */
clv_status clvi_tplan_meet(const clvi_tplan *plan, const clvi_tnode *node, clv_error *err);

/* plan->gradient = the sum over all lanes of all ranks, in order; and what whitening gathered. */
clv_status clvi_tplan_sum_ranks(clvi_tplan *plan, clv_error *err);

/* Offsets of activations and gradients, and the memory of the lanes. */
clv_status clvi_tplan_place(clvi_tplan *plan, clv_error *err);

#endif
