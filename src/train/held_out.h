/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are kept aside to decide what is better, and are never trained on. */
#ifndef CLVI_TRAIN_HELD_OUT_H
#define CLVI_TRAIN_HELD_OUT_H

#include "base/status.h"
#include "cleave/data.h"
#include "graph/graph.h"

typedef struct clvi_held_out {
    int64_t *items; /* [n_train + n] of the data set: those to train on first */
    int64_t n_train, n;
    float *images; /* [n rounded up to the batch][image]: the last ones again where a batch is not full */
} clvi_held_out;

/* Choose which: `wanted` of them, 0: a tenth, at most 2000. Every k-th image, so that a set sorted by class is held
 * out evenly. CLV_ERR_DATA: less than a batch would be left. Gives what is in *out (clvi_held_out_free), also on
 * failure. */
clv_status clvi_held_out_choose(clvi_held_out *out, int64_t count, int64_t wanted, int64_t batch, clv_error *err);

/* Read them. input: [batch, c, h, w], no data. Corrupt ones are left out: n shrinks. */
clv_status clvi_held_out_read(clvi_held_out *h, clv_dataset *images, const clv_preprocess *preprocess,
                              const clv_tensor *input, clv_context *context, clv_error *err);

void clvi_held_out_free(clvi_held_out *h); /* all zero is fine */

/* [batch, c, h, w] of the images (item 0 of h is looked at), without data; CLV_ERR_DATA: the first input of the graph
 * takes others. */
clv_status clvi_held_out_input(clv_tensor *out, const clvi_held_out *h, const clvi_graph *graph, clv_dataset *images,
                               const clv_preprocess *preprocess, int64_t batch, clv_error *err);

#endif
