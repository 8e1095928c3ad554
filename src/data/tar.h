/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a tar archive (POSIX ustar and pax, GNU long names), one after the other. */
#ifndef CLVI_DATA_TAR_H
#define CLVI_DATA_TAR_H

#include <stdbool.h>

#include "base/str.h"
#include "data/range.h"

typedef struct clvi_tar {
    clvi_range range;
    uint64_t at;   /* of the next header */
    clvi_str name; /* of the member just found */
    uint64_t offset, size;
} clvi_tar;

/* path is borrowed as long as the tar lives. End with clvi_tar_close. */
clv_status clvi_tar_open(clvi_tar *tar, const char *path, clv_error *err);
void clvi_tar_close(clvi_tar *tar);

/* Find the next regular file: name (without a leading "./"), offset and size. *more is false at the end of the archive.
 * CLV_ERR_FORMAT says at which byte it is damaged or cut off. */
clv_status clvi_tar_next(clvi_tar *tar, bool *more, clv_error *err);

#endif
