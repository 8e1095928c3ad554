/* SPDX-License-Identifier: Apache-2.0 */
/* A data set as the input of a network, one batch after the other. */
#ifndef CLVI_MEASURE_FEED_H
#define CLVI_MEASURE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/context.h"
#include "cleave/data.h"
#include "graph/graph.h"

typedef struct clvi_feed_opts {
    int64_t batch; /* at most; a network with a fixed batch takes that, images of varying size come one by one */
    int64_t limit; /* use at most this many items, spread evenly over the set; 0: all */
} clvi_feed_opts;

/* All but `input`, `first`, `rows` and `bad` is private. */
typedef struct clvi_feed {
    clv_tensor input; /* [batch, c, h, w] float32, owned; valid until the next call */
    int64_t rows;     /* of the input that hold items; those after them are zeros (networks with a fixed batch) */
    bool *bad;        /* [batch]: corrupt, to be left out */
    int64_t *index;   /* [batch]: which item of the data set a row is */

    clv_dataset *dataset;
    const clv_preprocess *preprocess;
    clv_context *context;
    int64_t next, used, count;
    int64_t batch;
    bool fixed_batch, varying;
    int64_t chw[3];
    size_t capacity; /* bytes of input.data */
} clvi_feed;

/* Everything borrowed until clvi_feed_free. CLV_ERR_UNSUP: the graph has not exactly one float input [n, c, h, w].
 * CLV_ERR_DATA: no items, or the first one cannot be an input. preprocess may be NULL for arrays of floats. */
clv_status clvi_feed_create(clvi_feed *out, const clvi_graph *graph, clv_dataset *dataset,
                            const clv_preprocess *preprocess, clvi_feed_opts opts, clv_context *context,
                            clv_error *err);

/* The next batch; *more false when there is none. CLV_ERR_INTERRUPTED when asked to stop. */
clv_status clvi_feed_next(clvi_feed *feed, bool *more, clv_error *err);

void clvi_feed_free(clvi_feed *feed); /* NULL data are fine */

#endif
