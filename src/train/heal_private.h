/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a healing: made by heal.c, moved by heal_run.c, judged by heal_judge.c, kept by heal_state.c. */
#ifndef CLVI_TRAIN_HEAL_PRIVATE_H
#define CLVI_TRAIN_HEAL_PRIVATE_H

#include "base/mem.h"
#include "base/str.h"
#include "ranks/ranks.h"
#include "report/report.h"
#include "train/guide.h"
#include "train/heal.h"
#include "train/held_out.h"
#include "train/loader.h"
#include "train/optimiser.h"
#include "train/pairs.h"
#include "train/plan.h"

#define CLVI_HEAL_LANES 4 /* where the ranks can share them evenly */

/* On the held-out images. */
typedef struct clvi_heal_score {
    double loss;      /* mean divergence (T = 1) of outputs that are classes, relative error of others */
    double agreement; /* percent of images with the teacher's class; NaN where there are no classes */
} clvi_heal_score;

/* What a lane found out, for all ranks to add up in order. */
typedef struct clvi_heal_tally {
    double loss, same, classed;
    double stop, progress; /* of the rank: it was asked to; by its clock */
} clvi_heal_tally;

typedef struct clvi_heal_job {
    const clv_heal_opts *opts;
    clv_context *context;
    clv_dataset *images;
    const clv_preprocess *preprocess; /* NULL for arrays */
    clvi_graph *student, *teacher;    /* BatchNorm folded */
    clv_tensor input;                 /* at the batch */
    clvi_pairs pairs;
    clvi_tplan *plan;
    clvi_guide *guide;
    clvi_optimiser optimiser;
    clvi_loader *loader;

    clvi_held_out held;
    float *answers[CLVI_MAX_PAIRS]; /* the teacher's, for outputs: [held.n rounded up to the batch][of one image] */
    float *work;                    /* [size] */
    float *best;                    /* theta of the best so far */
    clvi_heal_score start, best_score, last;

    const float *batch;      /* of the step in progress */
    struct clv_ranks *ranks; /* of the context; NULL: alone */
    int64_t lanes;           /* of the batch */
    clvi_heal_tally *tally;  /* [lanes] of the step, or of the judgement */
    double progress;         /* that the ranks agree on */

    int64_t step, total; /* total: of opts->steps, or an estimate */
    double began, spent, judge_seconds;
    double step_seconds, smooth_loss;
    double next_judgement; /* progress */
    double slower;         /* share of the rate that is left */
    double features;       /* weight of the blocks in this step */
    bool stopped;
    double *curve_x, *curve_y, *judged_x, *judged_y; /* for the plot */
    size_t n_curve, n_judged;
    clvi_str log;
} clvi_heal_job;

size_t clvi_heal_image(const clvi_heal_job *j); /* floats of one image */

/* Read the held-out images and what the teacher says of them. */
clv_status clvi_heal_hold_out(clvi_heal_job *j, clv_error *err);

/* Score the plan's parameters, or others in their place. */
clv_status clvi_heal_judge(clvi_heal_job *j, const float *theta, clvi_heal_score *out, clv_error *err);

/* The tallies of all ranks, added up in the order of the lanes; progress: rank 0's. */
clv_status clvi_heal_add_up(clvi_heal_job *j, clvi_heal_tally *sum, clv_error *err);

/* Train until the budget is spent or the context is cancelled. */
clv_status clvi_heal_run(clvi_heal_job *j, clv_error *err);

/* The state on disk. Loading gives *found false when there is no file; CLV_ERR_DATA when it is of another run. */
clv_status clvi_heal_state_save(const clvi_heal_job *j, clv_error *err);
clv_status clvi_heal_state_load(clvi_heal_job *j, bool *found, clv_error *err);

#endif
