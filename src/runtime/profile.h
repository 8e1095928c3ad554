/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of a session went, step by step. A step is what runs as one: a node, or several fused. */
#ifndef CLVI_RUNTIME_PROFILE_H
#define CLVI_RUNTIME_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/session.h"

typedef struct clvi_profile_row {
    const char *nodes; /* labels of the ONNX nodes that run in this step, joined by " + "; a value's name in a change of
                          layout */
    const char *kernel; /* how it is computed: an operator's name, or e.g. "depthwise + pointwise" */
    const size_t
        *node; /* [n_nodes] these nodes, as indices in the graph; in a change of layout the one that needs it */
    size_t n_nodes;
    double seconds; /* sum over the runs */
    double least;   /* of the fastest run: what the step takes when nobody disturbs it */
    int64_t runs;   /* of this plan, while profiled */
    int64_t macs;   /* multiply-adds of one run; the floor in time is macs / (FMA peak / 2) */
    int64_t bytes;  /* that one run must at least move: inputs, weights and outputs, each once */
} clvi_profile_row;

/* The steps of the plan that ran last, in order of execution: at most `max` rows are written, the number of steps is
 * returned; 0 before the first run. Seconds and runs are 0 without clvi_session_opts.profile. Texts are views that live
 * until the next run or free. Reentrant. */
size_t clvi_session_profile(const clvi_session *session, clvi_profile_row *rows, size_t max);

#endif
