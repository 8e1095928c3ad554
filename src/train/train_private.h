/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a training: made by train.c, moved by train_run.c, kept by train_state.c. */
#ifndef CLVI_TRAIN_TRAIN_PRIVATE_H
#define CLVI_TRAIN_TRAIN_PRIVATE_H

#include "base/str.h"
#include "ranks/ranks.h"
#include "train/held_out.h"
#include "train/loader.h"
#include "train/optimiser.h"
#include "train/plan.h"
#include "train/train.h"

#define CLVI_TRAIN_LANES     4 /* where the ranks can share them evenly */
#define CLVI_TRAIN_CURVE_MAX 4096

/* On the held-out images, with tracked statistics. */
typedef struct clvi_train_score {
    double loss, accuracy; /* mean cross-entropy without smoothing; percent */
} clvi_train_score;

enum { CLVI_TRAIN_LOSS, CLVI_TRAIN_HELD_LOSS, CLVI_TRAIN_ACCURACY, CLVI_TRAIN_HELD_ACCURACY, CLVI_TRAIN_CURVES };

/* What a lane found out, for all ranks to add up in order. */
typedef struct clvi_train_tally {
    double loss, right;
    double stop; /* this rank was asked to */
} clvi_train_tally;

typedef struct clvi_train_curve {
    double x[CLVI_TRAIN_CURVE_MAX], y[CLVI_TRAIN_CURVE_MAX];
    size_t n;
} clvi_train_curve;

typedef struct clvi_train_job {
    const clv_train_opts *opts;
    clv_context *context;
    clv_dataset *images;
    const clv_preprocess *preprocess; /* NULL for arrays */
    clvi_optimiser_kind kind;
    clvi_schedule schedule;
    double rate, decay;
    clv_tensor input; /* at the batch */
    int32_t logits;
    int64_t classes;            /* outputs */
    clvi_graph *source, *graph; /* the same network; the initializers of `graph` are what is judged */
    clvi_tplan *plan, *judge;   /* of source, with the batch's statistics; of graph, with tracked ones */
    clvi_optimiser optimiser;
    clvi_loader *loader;

    clvi_held_out held;
    float *best, *best_state; /* parameters and statistics of the best so far */
    size_t n_state;
    clvi_train_score best_score, last;
    int64_t best_epoch; /* 0: before training */

    clvi_batch batch;        /* of the step in progress */
    struct clv_ranks *ranks; /* of the context; NULL: alone */
    int64_t lanes;           /* of the batch */
    clvi_train_tally *tally; /* [lanes] of the step, or of the judgement */
    float *state_average;    /* of the statistics, with opts->average: beside the optimiser's of the parameters */
    float *state_before;     /* running statistics before the step: what a lost rank leaves of it is undone */
    double saved;            /* when the state was kept */

    int64_t step, total, per_epoch, first_step; /* first_step: of this process */
    double began, step_seconds;
    double epoch_loss, epoch_right; /* sums over the images of this epoch so far */
    double smooth_loss;
    bool stopped;
    clvi_train_curve *curves; /* [CLVI_TRAIN_CURVES] */
    clvi_str log;
} clvi_train_job;

/* Train until the epochs are done or the context is cancelled. */
clv_status clvi_train_run(clvi_train_job *j, clv_error *err);

/* Classify the held-out images with the parameters and statistics at hand, which are in j->graph afterwards. */
clv_status clvi_train_judge(clvi_train_job *j, clvi_train_score *out, clv_error *err);

/* A number that is the same on ranks with the same network, images, options and weights. */
uint64_t clvi_train_state_hash(const clvi_train_job *j);

/* The state on disk: rank 0 writes and reads, all get it. Loading gives *found false when there is no file;
 * CLV_ERR_DATA when it is of another run. */
clv_status clvi_train_state_save(clvi_train_job *j, clv_error *err);
clv_status clvi_train_state_load(clvi_train_job *j, bool *found, clv_error *err);

#endif
