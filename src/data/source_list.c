/* SPDX-License-Identifier: Apache-2.0 */
/* A text file that names images, one a line, in the order in which they are wanted. */
#include <string.h>
#include <sys/stat.h>

#include "data/dataset.h"
#include "data/label_file.h"

static const clvi_source images = {.image = clvi_dataset_decode};

/* The folder of a path, with its slash; "" for the working folder. In the arena. */
static const char *folder_of(clv_dataset *dataset, const char *path)
{
    const char *slash = strrchr(path, '/');
    return clvi_arena_strndup(dataset->arena, path, slash ? (size_t)(slash - path) + 1 : 0);
}

static clv_status add_lines(clv_dataset *dataset, const clvi_label_file *file, clv_error *err)
{
    struct stat info;
    const char *folder = folder_of(dataset, dataset->path);
    if (!folder)
        return FAIL(err, CLV_ERR_NOMEM, "folder of \"%s\"", dataset->path);
    for (int64_t i = 0; i < file->count; i++) {
        const clvi_label_line *line = &file->lines[i];
        const char *full = clvi_dataset_join(dataset, folder, line->name);
        const clvi_item item = {.name = clvi_arena_strdup(dataset->arena, line->name),
                                .file = full,
                                .size = CLVI_WHOLE_FILE,
                                .label = line->label};
        TRY(clvi_dataset_add(dataset, item, err));
        if (stat(full, &info) != 0 || S_ISDIR(info.st_mode))
            return FAIL(err, CLV_ERR_DATA, "\"%s\" line %lld: there is no image \"%s\"", dataset->path,
                        (long long)line->number, full);
    }
    return CLV_OK;
}

clv_status clvi_open_list(clv_dataset *dataset, clv_error *err)
{
    clvi_label_file file;
    dataset->source = &images;
    TRY(clvi_label_file_read(&file, dataset->path, false, err));
    const clv_status st = add_lines(dataset, &file, err);
    clvi_label_file_free(&file);
    return st;
}
