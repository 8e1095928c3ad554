/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is to the training engine: one row of the table in train/gradient_list.h. */
#ifndef CLVI_TRAIN_NODE_H
#define CLVI_TRAIN_NODE_H

#include "base/context.h"
#include "ops/conv_shape.h"
#include "ops/op.h"
#include "runtime/session.h"
#include "train/dnn.h"
#include "train/loops.h"
#include "train/plan.h"

#define CLVI_SAVE_OUT 0x80000000u /* bits of clvi_gradient.saves: input i is bit i */

typedef struct clvi_tnode clvi_tnode;

/* Data of one lane. */
typedef struct clvi_tlane {
    float **data;  /* [n_values] activations; constants and parameters are shared by all lanes */
    float **grad;  /* [n_values] NULL: not wanted */
    float *dparam; /* [size] gradients of the parameters */
    char *block;   /* what data and grad point into */
} clvi_tlane;

/* A node's work on one lane. */
typedef struct clvi_trun {
    clvi_tplan *plan;
    clvi_tlane *lane;
    size_t index;  /* of the lane, in this process */
    size_t number; /* of the lane, in the batch */
    int worker;
} clvi_trun;

typedef struct clvi_gradient {
    const char *type; /* ONNX name, default domain */
    unsigned saves;   /* what backward reads: inputs and output that must live until then */
    unsigned params;  /* inputs that are trained where they are initializers */
    unsigned state;   /* inputs that are running statistics when batch_norm is set */

    /* Check what the operator's own infer() did not, make what does not change between steps (node->state). */
    clv_status (*prepare)(clvi_tnode *node, clv_error *err);
    void (*release)(void *state);

    /* Optional; once a step before all lanes, when the parameters have changed. */
    clv_status (*refresh)(clvi_tnode *node, int worker, clv_error *err);

    /* Optional, both or none: a pass over every lane, and what is made of all lanes, before forward (backward). */
    void (*gather)(const clvi_tnode *node, clvi_trun *run);
    void (*settle)(clvi_tnode *node);
    void (*gather_back)(const clvi_tnode *node, clvi_trun *run);
    void (*settle_back)(clvi_tnode *node);

    clv_status (*forward)(const clvi_tnode *node, clvi_trun *run, clv_error *err);

    /* Write the gradient of every input i with node->want[i]; add to what is there where node->add[i]. Gradients of
     * parameters are added to lane->dparam. */
    clv_status (*backward)(const clvi_tnode *node, clvi_trun *run, clv_error *err);

    /* 1: the output may take the memory of input 0 (forward), and the gradient of input 0 that of the output's. 0: no.
     */
    int in_place;
} clvi_gradient;

struct clvi_tnode {
    const clvi_gradient *row;
    const clvi_node *node;
    clvi_tplan *plan;
    const clvi_graph *graph;
    size_t index;               /* in the graph */
    const clv_tensor *const *x; /* [n_in] shapes at the batch of a lane, data where constant; NULL: left out */
    clv_tensor *const *y;
    bool *want;          /* [n_in] the gradient of this activation is wanted */
    bool *add;           /* [n_in] another node has written it before */
    bool batch_norm;     /* as clvi_tplan_opts */
    size_t temp;         /* floats of per-worker scratch that forward or backward need; set by prepare */
    size_t keep;         /* bytes for each lane from forward to backward; set by prepare */
    char *kept;          /* [lanes][keep] */
    void *shared;        /* [all lanes][shared_bytes] what gather writes, for ranks to exchange; set by prepare */
    size_t shared_bytes; /* of a lane */
    void *state;
};

/* Help for operator files. */
const float *clvi_tin(const clvi_tnode *node, const clvi_trun *run, size_t i); /* NULL: left out */
float *clvi_tout(const clvi_tnode *node, const clvi_trun *run, size_t j);
float *clvi_tgrad_in(const clvi_tnode *node, const clvi_trun *run, size_t i);        /* NULL: not wanted */
const float *clvi_tgrad_out(const clvi_tnode *node, const clvi_trun *run, size_t j); /* NULL: zero */
float *clvi_tparam_grad(const clvi_tnode *node, const clvi_trun *run, size_t i);     /* NULL: input i is no parameter */
bool clvi_tis_param(const clvi_tnode *node, size_t i);
void *clvi_tkept(const clvi_tnode *node, const clvi_trun *run);
float *clvi_ttemp(const clvi_trun *run);
size_t clvi_tlanes(const clvi_tplan *plan); /* of the batch, those of other ranks too */
clvi_dnn *clvi_tdnn(const clvi_tplan *plan);
const clvi_loops *clvi_tloops(const clvi_tplan *plan);
const char *clvi_tlabel(const clvi_tnode *node);
/* A constant input as this plan has it: parameters live in theta, BatchNorm's statistics in its state. */
float *clvi_tconstant(const clvi_tnode *node, size_t i);

/* For prepare: gives *out (clvi_white_free) when the plan whitens and the weights are this node's alone; else NULL. */
struct clvi_white;
clv_status clvi_twhiten(struct clvi_white **out, clvi_tnode *node, const clvi_conv_shape *shape, clv_error *err);

const clvi_gradient *clvi_gradient_find(const clvi_node *node);

#endif
