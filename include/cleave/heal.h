/* SPDX-License-Identifier: Apache-2.0 */
/* Healing: a compressed network learns from the one that it was made of, on unlabelled images. */
#ifndef CLEAVE_HEAL_H
#define CLEAVE_HEAL_H

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

typedef struct clv_heal_opts {
    double seconds;     /* budget of time for all of it, default 180; ignored when steps > 0 */
    int64_t steps;      /* budget in steps: the same bits on every machine with the same libraries; 0: by time */
    int64_t batch;      /* images a step, a multiple of 4, default 64 */
    double rate;        /* largest learning rate of the cycle: the share of its size that each output of a convolution
                           moves in a step, default 8e-3; where it wrecks the network, healing goes back to the best
                           so far and on with a quarter of it */
    double temperature; /* of the distillation, default 1 */
    double features;    /* weight of the blocks' error against that of the outputs, default 200; it falls later */
    int64_t shift;      /* images are moved by up to so many pixels, default 1/8 of the height; -1: default */
    bool no_flip;       /* do not mirror images */
    int64_t held_out;   /* images kept aside to decide, default 1/10 of them, at most 2000; 0: default */
    uint64_t seed;      /* default 1 */
    const char *save;   /* borrowed; the best network so far is written here whenever it is better; NULL: not */
    const char *checkpoint; /* borrowed; the state is kept here from time to time, removed at the end; NULL: not */
    bool resume;            /* go on from `checkpoint` where it exists; same bits as without the pause when steps > 0 */
    const char *log;        /* borrowed; one JSON object a line; NULL: none */
    const char *plot;       /* borrowed; the losses as SVG; NULL: none */
} clv_heal_opts;

CLV_API clv_heal_opts clv_heal_opts_default(void);

/* Train the weights of `model` so that it answers as `teacher` does: Kullback-Leibler divergence of the outputs that
 * are classes, relative error of all others and of the blocks whose values have the same names in both; one cycle of
 * the learning rate, images moved and mirrored. BatchNorm is folded first. A part of the images is held out and
 * decides: what comes back is never worse on it than what came in.
 *
 * model       changed in place on CLV_OK; unchanged on failure
 * teacher     borrowed
 * images      borrowed; labels are not read
 * preprocess  borrowed; NULL: from the metadata of the model, else of the teacher
 * opts        borrowed, may be NULL: the defaults
 * report      borrowed, may be NULL; gets "healing": steps, images per second, loss and agreement before and after
 *
 * When cancelled it ends with CLV_OK and the best so far, and "healing.stopped" says so.
 *
 * CLV_ERR_ARG      an option out of range; teacher and model do not fit each other
 * CLV_ERR_UNSUP    an operator that cannot be trained through; more than one input
 * CLV_ERR_DATA     too few images, images that do not fit the input
 * CLV_ERR_NUMERIC  NaN or Inf; the message has the step and the layer
 *
 * Same result for any number of threads when steps > 0. Per object. */
CLV_API clv_status clv_heal(clv_model *model, const clv_model *teacher, clv_dataset *images,
                            const clv_preprocess *preprocess, const clv_heal_opts *opts, clv_context *context,
                            clv_report *report, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
