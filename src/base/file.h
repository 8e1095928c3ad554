/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-file reads, and writes that either replace the target whole or leave it untouched. */
#ifndef CLVI_BASE_FILE_H
#define CLVI_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct clvi_bytes {
    uint8_t *data;
    size_t size;
} clvi_bytes;

/* Read a regular file whole. Gives out->data (clvi_free). CLV_ERR_IO names the file and the reason. */
clv_status clvi_file_read(clvi_bytes *out, const char *path, clv_error *err);

/* Read `size` bytes at `offset`; CLV_ERR_FORMAT when the file is shorter. */
clv_status clvi_file_read_at(void *out, size_t size, uint64_t offset, const char *path, clv_error *err);

/* Bytes of a regular file. */
clv_status clvi_file_size(uint64_t *out, const char *path, clv_error *err);

/* A temporary file in $TMPDIR or /tmp without a name: it is gone with its descriptor. Gives *fd (close). */
clv_status clvi_file_unnamed(int *fd, clv_error *err);

/* An atomic replacement: bytes go to a temporary file beside `path`; commit flushes it to disk, renames it over
 * `path` and flushes the folder; free without commit removes it. After kill -9 or on a full disk the old file is whole.
 * When path names an existing non-regular file (a pipe, /dev/null, /dev/stdout) it is written directly. */
typedef struct clvi_file_writer clvi_file_writer;

clv_status clvi_file_create(clvi_file_writer **out, const char *path, clv_error *err);
clv_status clvi_file_write(clvi_file_writer *writer, const void *bytes, size_t size, clv_error *err);
clv_status clvi_file_commit(clvi_file_writer *writer, clv_error *err);
void clvi_file_free(clvi_file_writer *writer); /* NULL-safe */

/* create + write + commit */
clv_status clvi_file_replace(const char *path, const void *bytes, size_t size, clv_error *err);

#endif
