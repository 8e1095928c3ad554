/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of one size, kept in memory while there is room in a budget, else in an unnamed temporary file. */
#ifndef CLVI_BASE_SPILL_H
#define CLVI_BASE_SPILL_H

#include <stddef.h>

#include "base/status.h"

/* Memory that several spills share: bytes still free. */
typedef struct clvi_room {
    size_t free_bytes;
} clvi_room;

typedef struct clvi_spill clvi_spill;

/* rows of row_bytes each; what does not fit into *room goes whole to a file in $TMPDIR or /tmp that has no name, so
 * that it is gone with the process. The room (borrowed) gets its bytes back when the spill is freed. Gives *out
 * (clvi_spill_free). CLV_ERR_IO: the file cannot be made. */
clv_status clvi_spill_create(clvi_spill **out, size_t rows, size_t row_bytes, clvi_room *room, clv_error *err);
void clvi_spill_free(clvi_spill *spill); /* NULL-safe */

/* Rows [first, first + n). CLV_ERR_IO: the disk is full, or the file cannot be read; rows that were not written are
 * zeros. */
clv_status clvi_spill_write(clvi_spill *spill, size_t first, size_t n, const void *rows, clv_error *err);
clv_status clvi_spill_read(clvi_spill *spill, size_t first, size_t n, void *rows, clv_error *err);

#endif
