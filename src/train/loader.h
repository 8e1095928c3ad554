/* SPDX-License-Identifier: Apache-2.0 */
/* Batches for training: a data set shuffled anew each epoch, augmented, prepared by a thread of its own while the
 * network works. What step k gets depends on (seed, k) alone, so a run can go on from any step. Decoded images are kept
 * in memory while they fit. */
#ifndef CLVI_TRAIN_LOADER_H
#define CLVI_TRAIN_LOADER_H

#include "base/context.h"
#include "cleave/data.h"

typedef struct clvi_loader clvi_loader;

typedef struct clvi_loader_opts {
    const int64_t *items; /* of the data set; copied */
    int64_t n_items;
    int64_t batch;       /* at most n_items */
    int64_t part, parts; /* only images [batch part / parts, batch (part + 1) / parts) of each batch; parts 0: all */
    int64_t chw[3];      /* what every item must come out at */
    int64_t shift;       /* these: as clvi_augment_opts */
    bool flip;
    int64_t cutout;
    double crop, jitter;
    double mixup; /* alpha of the share in which an image is mixed with another of its batch, in (0, 1]; 0: not */
    uint64_t seed;
    int64_t first_step; /* the first batch is that of this step */
    bool labels;        /* every item has one */
} clvi_loader_opts;

typedef struct clvi_batch {
    float *images;   /* [batch / parts, c, h, w]; valid until the next call */
    int64_t *labels; /* [batch / parts]; -1: none */
    /* With mixup the label of the other image, and the share of the first, at least a half; else NULL. */
    int64_t *others;
    double *shares;
} clvi_batch;

/* Data set and preprocessing are borrowed until clvi_loader_free; nobody else may read the data set meanwhile. */
clv_status clvi_loader_create(clvi_loader **out, clv_dataset *dataset, const clv_preprocess *preprocess,
                              const clvi_loader_opts *opts, clv_error *err);
void clvi_loader_free(clvi_loader *loader); /* NULL-safe; ends the thread */

/* The batch of the next step; waits for it. CLV_ERR_DATA: what the reading thread met. */
clv_status clvi_loader_next(clvi_loader *loader, clvi_batch *out, clv_error *err);

#endif
