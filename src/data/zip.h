/* SPDX-License-Identifier: Apache-2.0 */
/* As much of the zip format (PKWARE APPNOTE 6.3) as .npz files use: stored and deflated members, zip64. */
#ifndef CLVI_DATA_ZIP_H
#define CLVI_DATA_ZIP_H

#include "data/range.h"

typedef struct clvi_zip_entry {
    const char *name;              /* views zip->names */
    uint64_t offset, packed, size; /* of the local header; bytes in the file; bytes unpacked */
    uint32_t crc;
    unsigned method, flags;
} clvi_zip_entry;

typedef struct clvi_zip {
    clvi_range range;
    char *names;
    clvi_zip_entry *entries;
    size_t count;
} clvi_zip;

/* Read the directory. path is borrowed as long as the zip or a range of it lives. Gives zip (clvi_zip_close).
 * CLV_ERR_FORMAT, CLV_ERR_UNSUP (several disks). */
clv_status clvi_zip_open(clvi_zip *zip, const char *path, clv_error *err);
void clvi_zip_close(clvi_zip *zip);

/* The bytes of a member: where they lie when stored (their checksum is not looked at), unpacked to an unnamed temporary
 * file in $TMPDIR or /tmp when deflated. Gives *out (clvi_range_close). */
clv_status clvi_zip_member(clvi_range *out, const clvi_zip *zip, const clvi_zip_entry *entry, clv_error *err);

#endif
