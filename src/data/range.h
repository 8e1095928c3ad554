/* SPDX-License-Identifier: Apache-2.0 */
/* A stretch of bytes in a file: of a named one, opened for each read, or of an unnamed temporary one. */
#ifndef CLVI_DATA_RANGE_H
#define CLVI_DATA_RANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct clvi_range {
    const char *path; /* borrowed; also names the range in messages */
    int fd;           /* an unnamed file that the range owns, or -1: `path` is read */
    uint64_t offset, size;
} clvi_range;

/* The whole of a regular file. */
clv_status clvi_range_of_file(clvi_range *range, const char *path, clv_error *err);

/* n bytes at `at` within the range. CLV_ERR_FORMAT: they are not all inside. Reentrant. */
clv_status clvi_range_read(const clvi_range *range, void *to, size_t n, uint64_t at, clv_error *err);

void clvi_range_close(clvi_range *range); /* and resets to empty */

#endif
