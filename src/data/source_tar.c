/* SPDX-License-Identifier: Apache-2.0 */
/* A tar of images: read in place, never unpacked. When the images lie in two folders or more, the folders are classes.
 */
#include <string.h>

#include "data/dataset.h"
#include "data/tar.h"

static const clvi_source images = {.image = clvi_dataset_decode};

static size_t folder_length(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

static bool is_wanted(const char *name)
{
    const char *slash = strrchr(name, '/');
    return clvi_image_is_name(name) && (slash ? slash[1] : name[0]) != '.';
}

static clv_status add_members(clv_dataset *dataset, clvi_tar *tar, clv_error *err)
{
    for (bool more = true;;) {
        TRY(clvi_tar_next(tar, &more, err));
        if (!more)
            return CLV_OK;
        if (!is_wanted(tar->name.text))
            continue;
        const clvi_item item = {.name = clvi_arena_strdup(dataset->arena, tar->name.text),
                                .file = dataset->path,
                                .offset = tar->offset,
                                .size = tar->size,
                                .label = -1};
        TRY(clvi_dataset_add(dataset, item, err));
    }
}

/* Of a name that occurs twice the last one counts, as when tar unpacks. Items are sorted. */
static void drop_overwritten(clv_dataset *dataset)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < dataset->count; i++)
        if (i + 1 == dataset->count || strcmp(dataset->items[i].name, dataset->items[i + 1].name) != 0)
            dataset->items[kept++] = dataset->items[i];
    dataset->count = kept;
}

static int compare_folder(const char *a, size_t n, const char *b, size_t m)
{
    const int order = memcmp(a, b, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

typedef struct folder {
    const char *name;
    size_t length;
} folder;

/* Where a folder is, or would be, among n sorted ones. */
static size_t find_folder(const folder *folders, size_t n, const char *name, size_t length)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (compare_folder(folders[mid].name, folders[mid].length, name, length) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Labels are indices of the sorted folders; none when all lie in one. */
static clv_status label_folders(clv_dataset *dataset, clv_error *err)
{
    folder *folders = NULL;
    size_t n = 0, capacity = 0;
    for (int64_t i = 0; i < dataset->count; i++) {
        const char *name = dataset->items[i].name;
        const size_t length = folder_length(name), at = find_folder(folders, n, name, length);
        if (at < n && compare_folder(folders[at].name, folders[at].length, name, length) == 0)
            continue;
        if (n == capacity) {
            const size_t grown = capacity ? 2 * capacity : 64;
            folder *more = clvi_grow(folders, n * sizeof *folders, grown * sizeof *folders);
            if (!more) {
                clvi_free(folders);
                return FAIL(err, CLV_ERR_NOMEM, "folders of \"%s\"", dataset->path);
            }
            folders = more;
            capacity = grown;
        }
        memmove(folders + at + 1, folders + at, (n - at) * sizeof *folders);
        folders[at] = (folder){name, length};
        n++;
    }
    for (int64_t i = 0; n > 1 && i < dataset->count; i++) {
        clvi_item *item = &dataset->items[i];
        item->label = (int64_t)find_folder(folders, n, item->name, folder_length(item->name));
    }
    clvi_free(folders);
    if (n > CLVI_LABEL_MAX)
        return FAIL(err, CLV_ERR_DATA, "\"%s\" has %zu folders, at most %d can be classes", dataset->path, n,
                    CLVI_LABEL_MAX);
    return CLV_OK;
}

clv_status clvi_open_tar(clv_dataset *dataset, clv_error *err)
{
    clvi_tar tar;
    dataset->source = &images;
    TRY(clvi_tar_open(&tar, dataset->path, err));
    clv_status st = add_members(dataset, &tar, err);
    clvi_tar_close(&tar);
    if (st != CLV_OK)
        return st;
    clvi_dataset_sort(dataset);
    drop_overwritten(dataset);
    return label_folders(dataset, err);
}
