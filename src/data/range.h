/* SPDX-License-Identifier: Apache-2.0 */
/* A stretch of bytes in a file, which is opened for each read or held open. */
#ifndef CLVI_DATA_RANGE_H
#define CLVI_DATA_RANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct clvi_range {
    const char *path; /* borrowed; also names the range in messages */
    int fd;           /* held open and owned by the range, or -1: `path` is opened for each read */
    uint64_t offset, size;
} clvi_range;

/* The whole of a regular file. */
clv_status clvi_range_of_file(clvi_range *range, const char *path, clv_error *err);

/* The same, held open. Gives range (clvi_range_close). */
clv_status clvi_range_open(clvi_range *range, const char *path, clv_error *err);

/* n bytes at `at` within the range. CLV_ERR_FORMAT: they are not all inside. Reentrant. */
clv_status clvi_range_read(const clvi_range *range, void *to, size_t n, uint64_t at, clv_error *err);

void clvi_range_close(clvi_range *range); /* and resets to empty */

#endif
