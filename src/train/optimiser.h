/* SPDX-License-Identifier: Apache-2.0 */
/* Optimisers over the parameter vector of a plan, schedules of the learning rate, a running mean of the weights. */
#ifndef CLVI_TRAIN_OPTIMISER_H
#define CLVI_TRAIN_OPTIMISER_H

#include "base/pool.h"
#include "train/loops.h"
#include "train/plan.h"

typedef enum clvi_optimiser_kind { CLVI_ADAMW, CLVI_NESTEROV } clvi_optimiser_kind;

typedef struct clvi_optimiser_opts {
    clvi_optimiser_kind kind;
    double beta1, beta2, eps; /* AdamW */
    double momentum;          /* Nesterov */
    double decay;  /* of weights, not of biases and norms; AdamW: decoupled; Nesterov: part of the gradient */
    double clip;   /* largest norm of the gradient; 0: any */
    bool relative; /* rates are shares of the root mean square that each parameter had at the start */
    double mean;   /* share of the old in the running mean of the weights, per step; 0: none kept */
} clvi_optimiser_opts;

clvi_optimiser_opts clvi_optimiser_opts_default(clvi_optimiser_kind kind);

/* All vectors have the layout of the plan's theta. */
typedef struct clvi_optimiser {
    clvi_optimiser_opts opts;
    clvi_tplan *plan;
    const clvi_loops *loops;
    clvi_pool *pool;
    float *m, *v; /* v: AdamW alone */
    float *average;
    double *unit; /* [params] what a rate of 1 is */
    size_t size;
    int64_t steps; /* taken */
    double *partial;
} clvi_optimiser;

clv_status clvi_optimiser_create(clvi_optimiser *out, clvi_tplan *plan, const clvi_optimiser_opts *opts,
                                 clv_context *context, clv_error *err);
void clvi_optimiser_free(clvi_optimiser *o); /* all zero is fine */

/* One step with the plan's gradient. Returns the norm of the gradient before clipping; when that is not finite nothing
 * is changed. */
double clvi_optimiser_step(clvi_optimiser *o, double rate);

/* The share of the old that the last step kept in the running mean. */
double clvi_optimiser_keep(const clvi_optimiser *o);

/* The weights were put elsewhere: no step before counts for the direction, the running mean begins there. */
void clvi_optimiser_restart(clvi_optimiser *o);

typedef enum clvi_schedule {
    CLVI_ONE_CYCLE, /* up for the first tenth, then a half cosine down to 0 */
    CLVI_COSINE,    /* a half cosine down to 0 */
    CLVI_MULTI_STEP /* 1, 1/10 from one half, 1/100 from three quarters */
} clvi_schedule;

/* Factor of the largest rate at `progress` in [0, 1] of the run. */
double clvi_schedule_factor(clvi_schedule schedule, double progress);

#endif
