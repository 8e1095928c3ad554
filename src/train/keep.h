/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a long run on disk: a header of fixed size, then vectors. Written and read on the same kind of
 * machine; what the header must say is the caller's to check before it takes the vectors. */
#ifndef CLVI_TRAIN_KEEP_H
#define CLVI_TRAIN_KEEP_H

#include <stdbool.h>

#include "base/file.h"
#include "train/plan.h"

#define CLVI_KEEP_MAX 8

typedef struct clvi_keep {
    const char *path;
    size_t header_size;
    void *vector[CLVI_KEEP_MAX];
    size_t bytes[CLVI_KEEP_MAX]; /* of each */
    int n;
} clvi_keep;

/* The file is replaced whole or not at all. */
clv_status clvi_keep_save(const clvi_keep *keep, const void *header, clv_error *err);

/* Rank 0 reads, all get it. *found false: there is no file. Else the header is written and *bytes given
 * (clvi_free(bytes->data)). CLV_ERR_DATA: a file of another size. */
clv_status clvi_keep_read(const clvi_keep *keep, void *header, clvi_bytes *bytes, bool *found, struct clv_ranks *ranks,
                          clv_error *err);

/* Copy the vectors out of the bytes. */
void clvi_keep_take(const clvi_keep *keep, const clvi_bytes *bytes);

/* A number that tells networks and data sets apart: names and sizes of the parameters, and `also`. */
uint64_t clvi_keep_fingerprint(const clvi_tplan *plan, int64_t also);

#endif
