/* SPDX-License-Identifier: Apache-2.0 */
/* Text files of image names and labels, shared by label files and list files. */
#ifndef CLVI_DATA_LABEL_FILE_H
#define CLVI_DATA_LABEL_FILE_H

#include "base/file.h"
#include "base/mem.h"
#include "base/status.h"

typedef struct clvi_label_line {
    const char *name; /* views the text; "" when the line is a label alone */
    int64_t label;    /* -1: none */
    int64_t number;   /* of the line, from 1 */
} clvi_label_line;

typedef struct clvi_label_file {
    clvi_bytes text; /* cut into NUL-terminated names */
    clvi_label_line *lines;
    int64_t count;
} clvi_label_file;

/* Read a file of lines that all have names, all have labels, or both. An integer alone is a label when `labels_alone`,
 * else a name. Gives file (clvi_label_file_free). CLV_ERR_DATA names the line. */
clv_status clvi_label_file_read(clvi_label_file *file, const char *path, bool labels_alone, clv_error *err);
void clvi_label_file_free(clvi_label_file *file);

#endif
