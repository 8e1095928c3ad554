/* SPDX-License-Identifier: Apache-2.0 */
/* Walking through a network once, for all calibration images at a time.
 *
 * A front holds, for every image, the values that are alive at one place in the node order: all that the rest of the
 * network needs. A visit computes some values from there and may move the front forward, so looking at one convolution
 * after the other costs one inference altogether, while nodes behind the front are being rewritten. What is held lies
 * in the calibration's room, or in temporary files where that is full. */
#ifndef CLVI_COMPRESS_FRONT_H
#define CLVI_COMPRESS_FRONT_H

#include "compress/calibration.h"

typedef struct clvi_front {
    clvi_calibration *calibration; /* borrowed */
    int32_t *cut;                  /* [n_cut] value ids */
    clv_tensor *type;              /* [n_cut] at batch 1, no data */
    clvi_spill **held;             /* [n_cut]; NULL: the cut is the network's input, read from the images */
    size_t n_cut;
} clvi_front;

/* Starts at the input of `graph`. Gives *out (clvi_front_free). */
clv_status clvi_front_create(clvi_front *out, const clvi_graph *graph, clvi_calibration *calibration, clv_error *err);
void clvi_front_free(clvi_front *front); /* an empty one is fine */

/* Called for each batch, in order: values[i] are the fetched values of images [first, first + n); values hold n rows
 * or, in networks with a fixed batch, more. */
typedef clv_status (*clvi_visitor)(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err);

/* What to look at. */
typedef struct clvi_visit {
    const char *stage;    /* for the progress display; NULL: nothing is shown */
    const int32_t *fetch; /* value ids */
    size_t n_fetch;
    clvi_visitor visitor;
    void *user;
    /* Where the front shall stand afterwards: in front of node `at`, holding what `wanted` needs from there. at
     * SIZE_MAX: where it is. It stays where it is, too, when something alive there is not an array of floats with a row
     * for each image. */
    size_t at;
    const int32_t *wanted;
    size_t n_wanted;
} clvi_visit;

/* graph: the same in front of the front as in the visits before. */
clv_status clvi_front_visit(clvi_front *front, const clvi_graph *graph, const clvi_visit *visit, clv_error *err);

#endif
