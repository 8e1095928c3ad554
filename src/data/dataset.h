/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a data set, and the interface between it and the kinds of files it may come from. */
#ifndef CLVI_DATA_DATASET_H
#define CLVI_DATA_DATASET_H

#include "base/mem.h"
#include "base/status.h"
#include "cleave/data.h"
#include "data/image.h"
#include "data/npy_header.h"

#define CLVI_LABEL_MAX      999999
#define CLVI_BUILTIN        "builtin:" /* begins the path of a data set that is drawn, not read */
#define CLVI_WHOLE_FILE     UINT64_MAX
#define CLVI_IMAGE_FILE_MAX ((uint64_t)1 << 28) /* bytes of one compressed picture */

typedef struct clvi_item {
    const char *name;      /* in the arena; unique enough for messages */
    const char *file;      /* in the arena; the file its bytes are in, shared by items of one container */
    uint64_t offset, size; /* bytes in the file, or CLVI_WHOLE_FILE */
    int64_t label;         /* -1: none */
    bool bad;              /* met and found corrupt */
} clvi_item;

/* How the pixels of an item are fetched. Exactly one of the two is set. Both are called from several threads at once
 * and change nothing in the data set. */
typedef struct clvi_source {
    /* Gives image->rgb. CLV_ERR_FORMAT, CLV_ERR_UNSUP, CLV_ERR_IO: this one is unusable. */
    clv_status (*image)(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err);
    /* out: floats of array.shape[1..3], taken as they are */
    clv_status (*tensor)(float *out, const clv_dataset *dataset, const clvi_item *item, clv_error *err);
} clvi_source;

struct clv_dataset {
    const char *path; /* in the arena, as opened */
    const clvi_source *source;
    clvi_arena *arena;
    clvi_item *items;
    int64_t count, capacity;
    int64_t classes;
    int64_t bad;
    double max_bad;
    clvi_npy_header array; /* source_npy alone: its shape and type */
    clvi_range range;      /* source_npy alone: where the array lies */
    uint64_t seed;         /* source_shapes alone */
};

/* Append an item; name and file are kept, not copied. */
clv_status clvi_dataset_add(clv_dataset *dataset, clvi_item item, clv_error *err);

/* Copies into the data set's arena; NULL when memory is short. */
char *clvi_dataset_join(clv_dataset *dataset, const char *folder, const char *name);

/* Byte-wise, but '/' sorts before every other byte, so that what is in a folder stays together and folders sort by
 * name. */
int clvi_path_compare(const char *a, const char *b);

/* Sort the items by name. */
void clvi_dataset_sort(clv_dataset *dataset);

/* Fetch the bytes of an item and decode them: the `image` of every source made of JPEG and PNG files. */
clv_status clvi_dataset_decode(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err);

/* Each fills the items of an empty data set from its path, and sets `source`. */
clv_status clvi_open_folder(clv_dataset *dataset,
                            clv_error *err); /* class folders, flat folder, folder of CIFAR files */
clv_status clvi_open_single(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_list(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_tar(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_cifar(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_npy(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_npz(clv_dataset *dataset, clv_error *err);
clv_status clvi_open_builtin(clv_dataset *dataset, clv_error *err);

/* Append the records of one CIFAR file. */
clv_status clvi_cifar_add_file(clv_dataset *dataset, const char *path, const char *name, clv_error *err);

/* What the callers of the library are told about a malformed or unsupported file of data: those two statuses speak of
 * models. */
clv_status clvi_data_status(clv_status st, clv_error *err);

/* Give every item the label that the text file has for it (include/cleave/data.h says how it is written). */
clv_status clvi_label_file_apply(clv_dataset *dataset, const char *path, clv_error *err);

#endif
