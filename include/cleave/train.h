/* SPDX-License-Identifier: Apache-2.0 */
/* Training of a classifier on labelled images. */
#ifndef CLEAVE_TRAIN_H
#define CLEAVE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/context.h"
#include "cleave/data.h"
#include "cleave/model.h"
#include "cleave/report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_train_opts {
    int64_t epochs; /* passes over the training images, default 20 */
    int64_t batch;  /* images a step, a multiple of 4, default 128; what an epoch has beyond whole batches waits */
    const char *optimiser; /* borrowed; "sgd": Nesterov momentum 0.9 (default; NULL), or "adamw" */
    const char *schedule;  /* borrowed; "one-cycle" (default; NULL), "cosine" or "multi-step" */
    double rate;           /* largest learning rate; 0: 0.1 for sgd, 2e-3 for adamw */
    double decay;          /* of kernels and matrices, not of biases and norms; < 0: 5e-4 for sgd, 0.05 for adamw */
    double smoothing;      /* of the labels, in [0, 1), default 0.05 */
    double clip;           /* largest norm of the gradient, default 0: any */
    int64_t shift;  /* images are moved by up to so many pixels, the border black; -1: 1/8 of the height, 0 with crop */
    bool no_flip;   /* do not mirror images */
    int64_t cutout; /* side of a square of each image that is made black, default 0: none */
    double crop;    /* smallest share of its area that a random crop of an image keeps, resized to the whole; in
                       [0, 1], default 0: none. With it `shift` is 0 by default */
    double jitter;  /* brightness, contrast and saturation are multiplied by 1 - jitter to 1 + jitter; in [0, 1],
                       default 0 */
    double mixup;   /* images and labels are mixed in pairs, by shares from Beta(mixup, mixup); in [0, 1], default
                       0: not */
    double average; /* what is judged and kept is the running mean of weights and statistics, of which each step
                       keeps this share; in [0, 1), default 0: the weights themselves */
    int64_t held_out;       /* images kept aside to decide, default 1/10 of them, at most 2000; 0: default */
    uint64_t seed;          /* default 1 */
    const char *save;       /* borrowed; the best network so far is written here whenever it is better; NULL: not */
    const char *checkpoint; /* borrowed; the state is kept here after each epoch, removed at the end; NULL: not */
    bool resume;            /* go on from `checkpoint` where it exists; same bits as without the pause */
    const char *log;        /* borrowed; one JSON object a line; NULL: none */
    const char *plot;       /* borrowed; losses and accuracies as SVG; NULL: none */
} clv_train_opts;

CLV_API clv_train_opts clv_train_opts_default(void);

/* Train all weights of `model`, a classifier with one output [n, classes] (logits, or a Softmax of them), by
 * cross-entropy on labelled images that are moved and mirrored. BatchNorm nodes normalise with the statistics of the
 * whole batch and track them; they stay in the model with what they have tracked. After each epoch the images held out
 * are classified with the tracked statistics: the epoch with the highest accuracy is what comes back.
 *
 * model       changed in place on CLV_OK; unchanged on failure
 * images      borrowed; every one has a label
 * preprocess  borrowed; NULL: from the metadata of the model
 * opts        borrowed, may be NULL: the defaults
 * report      borrowed, may be NULL; gets "training": steps, images per second, loss and accuracy on the images held
 * out
 *
 * When cancelled it ends with CLV_OK and the best so far, and "training.stopped" says so.
 *
 * CLV_ERR_ARG      an option out of range
 * CLV_ERR_UNSUP    an operator that cannot be trained through; weights that are not float32; several inputs or outputs
 * CLV_ERR_DATA     too few images, images without labels, more classes than outputs, images that do not fit
 * CLV_ERR_NUMERIC  NaN or Inf; the message has the step and the layer; what `save` holds is the best before
 *
 * Same result for any number of threads. Per object. */
CLV_API clv_status clv_train(clv_model *model, clv_dataset *images, const clv_preprocess *preprocess,
                             const clv_train_opts *opts, clv_context *context, clv_report *report, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
