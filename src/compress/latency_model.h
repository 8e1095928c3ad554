/* SPDX-License-Identifier: Apache-2.0 */
/* What each convolution of a network would take in this runtime, on this machine, as each of its candidates: measured.
 *
 * Not layer by layer: whole networks are timed step by step, in which every convolution has become the same form at one
 * of its sizes, so that each runs in its place, fused with what stands around it, with the caches as its neighbours
 * leave them. Forms that reach beyond their layer (fewer channels read, so fewer made before it) are tried in every
 * other layer only. Equal convolutions share what is measured; sizes between two measured ones are interpolated
 * (search/time_curve.h); a file keeps the times for the next run (measure/time_cache.h). */
#ifndef CLVI_COMPRESS_LATENCY_MODEL_H
#define CLVI_COMPRESS_LATENCY_MODEL_H

#include "compress/candidates.h"
#include "compress/sites.h"
#include "compress/trial.h"

typedef struct clvi_latency_task {
    const clvi_graph *original; /* folded */
    const clvi_sites *sites;
    const clvi_candidates *lists; /* [sites->n] */
    const clv_tensor *input;      /* of the network, one image; data ignored */
    clvi_trial_chains *chains;
    clv_context *context;
} clvi_latency_task;

typedef struct clvi_latency_model {
    double *seconds;         /* [sites->n, CLVI_CANDIDATES_MAX] least time, of every candidate */
    double *dense;           /* [sites->n] of the convolution as it is */
    double rest;             /* of what belongs to no convolution */
    size_t measured, cached; /* times of a form at a size */
} clvi_latency_model;

/* Gives *out (clvi_latency_model_free). Runs networks for a while; CLV_ERR_UNSUP when they cannot be run. */
clv_status clvi_latency_model_create(clvi_latency_model *out, const clvi_latency_task *task, clv_error *err);
void clvi_latency_model_free(clvi_latency_model *model); /* an empty one is fine */

#endif
