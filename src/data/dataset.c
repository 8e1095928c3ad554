/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data set: the kind of file is chosen, its index read, labels given, a part of it picked. */
#include "data/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/rng.h"

clv_dataset_opts clv_dataset_opts_default(void)
{
    return (clv_dataset_opts){.max_bad = 0.01};
}

clv_status clvi_dataset_add(clv_dataset *dataset, clvi_item item, clv_error *err)
{
    if (!item.name || !item.file)
        return FAIL(err, CLV_ERR_NOMEM, "name of item %lld of \"%s\"", (long long)dataset->count, dataset->path);
    if (dataset->count == dataset->capacity) {
        const size_t old = (size_t)dataset->capacity, new = old ? 2 * old : 64;
        clvi_item *items = clvi_grow(dataset->items, old * sizeof *items, new * sizeof *items);
        if (!items)
            return FAIL(err, CLV_ERR_NOMEM, "index of %zu items of \"%s\"", new, dataset->path);
        dataset->items = items;
        dataset->capacity = (int64_t) new;
    }
    dataset->items[dataset->count++] = item;
    return CLV_OK;
}

char *clvi_dataset_join(clv_dataset *dataset, const char *folder, const char *name)
{
    const size_t n = strlen(folder);
    if (n == 0 || name[0] == '/')
        return clvi_arena_strdup(dataset->arena, name);
    return clvi_arena_printf(dataset->arena, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
}

int clvi_path_compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (*a == *b)
        return 0;
    if (*a == '/' || *b == '/')
        return !*b ? 1 : !*a ? -1 : *a == '/' ? -1 : 1;
    return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

/* Equal names (a tar may hold a file twice) stay in the order of the file. */
static int by_name(const void *a, const void *b)
{
    const clvi_item *x = a, *y = b;
    const int order = clvi_path_compare(x->name, y->name);
    return order ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

void clvi_dataset_sort(clv_dataset *dataset)
{
    if (dataset->count > 1)
        qsort(dataset->items, (size_t)dataset->count, sizeof *dataset->items, by_name);
}

clv_status clvi_dataset_decode(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err)
{
    clvi_bytes bytes = {0};
    struct stat info;
    uint64_t size = item->size;
    (void)dataset;
    *image = (clvi_image){0};
    if (size == CLVI_WHOLE_FILE) {
        if (stat(item->file, &info) != 0)
            return FAIL(err, CLV_ERR_IO, "cannot open \"%s\": %s", item->file, strerror(errno));
        size = (uint64_t)info.st_size;
    }
    if (size > CLVI_IMAGE_FILE_MAX)
        return FAIL(err, CLV_ERR_FORMAT, "%llu bytes, a picture has at most %llu", (unsigned long long)size,
                    (unsigned long long)CLVI_IMAGE_FILE_MAX);
    clv_status st;
    if (item->size == CLVI_WHOLE_FILE) {
        st = clvi_file_read(&bytes, item->file, err);
    } else {
        bytes = (clvi_bytes){clvi_alloc((size_t)size), (size_t)size};
        st = bytes.data ? clvi_file_read_at(bytes.data, bytes.size, item->offset, item->file, err)
                        : FAIL(err, CLV_ERR_NOMEM, "%zu bytes of \"%s\"", bytes.size, item->name);
    }
    if (st == CLV_OK)
        st = clvi_image_decode(image, bytes.data, bytes.size, err);
    clvi_free(bytes.data);
    return st;
}

clv_status clvi_data_status(clv_status st, clv_error *err)
{
    if (st != CLV_ERR_FORMAT && st != CLV_ERR_UNSUP)
        return st;
    if (err)
        err->code = CLV_ERR_DATA;
    return CLV_ERR_DATA;
}

static clv_status open_kind(clv_dataset *dataset, clv_error *err)
{
    static const struct {
        const char *suffix;
        clv_status (*open)(clv_dataset *dataset, clv_error *err);
    } kinds[] = {{".txt", clvi_open_list},  {".lst", clvi_open_list},   {".csv", clvi_open_list},
                 {".tar", clvi_open_tar},   {".bin", clvi_open_cifar},  {".npy", clvi_open_npy},
                 {".npz", clvi_open_npz},   {".jpg", clvi_open_single}, {".jpeg", clvi_open_single},
                 {".png", clvi_open_single}};
    struct stat info;
    if (strncmp(dataset->path, CLVI_BUILTIN, strlen(CLVI_BUILTIN)) == 0)
        return clvi_open_builtin(dataset, err);
    if (stat(dataset->path, &info) != 0)
        return FAIL(err, CLV_ERR_IO, "cannot open \"%s\": %s", dataset->path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return clvi_open_folder(dataset, err);
    const char *dot = strrchr(dataset->path, '.');
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
        if (strcasecmp(dot, kinds[i].suffix) == 0)
            return kinds[i].open(dataset, err);
    return FAIL(
        err, CLV_ERR_DATA,
        "\"%s\" is none of: a folder, .txt .lst .csv (list of images), .tar, .bin (CIFAR), .npy, .npz, .jpg, .jpeg, "
        ".png (an archive must be unpacked, a .tar.gz at least to .tar)",
        dataset->path);
}

/* Keep one item of each of `limit` equal stretches. */
static void pick(clv_dataset *dataset, int64_t limit, uint64_t seed)
{
    const int64_t n = dataset->count, whole = n / limit, rest = n % limit;
    clvi_rng rng;
    clvi_rng_seed(&rng, seed);
    for (int64_t i = 0; i < limit; i++) {
        const int64_t from = i * whole + i * rest / limit, to = (i + 1) * whole + (i + 1) * rest / limit;
        const int64_t at = from + (seed ? (int64_t)clvi_rng_below(&rng, (uint64_t)(to - from)) : 0);
        dataset->items[i] = dataset->items[at];
    }
    dataset->count = limit;
}

static clv_status finish(clv_dataset *dataset, const clv_dataset_opts *opts, clv_error *err)
{
    if (dataset->count == 0)
        return FAIL(err, CLV_ERR_DATA, "\"%s\" holds no image", dataset->path);
    if (opts->labels)
        TRY(clvi_label_file_apply(dataset, opts->labels, err));
    dataset->classes = 0;
    for (int64_t i = 0; i < dataset->count; i++)
        if (dataset->items[i].label >= dataset->classes)
            dataset->classes = dataset->items[i].label + 1;
    if (opts->limit > 0 && opts->limit < dataset->count)
        pick(dataset, opts->limit, opts->seed);
    return CLV_OK;
}

clv_status clv_dataset_open(clv_dataset **out, const char *path, const clv_dataset_opts *opts, clv_error *err)
{
    const clv_dataset_opts defaults = clv_dataset_opts_default();
    const clv_dataset_opts *o = opts ? opts : &defaults;
    *out = NULL;
    if (!path || !*path)
        return FAIL(err, CLV_ERR_ARG, "the path of the data set is empty");
    if (o->limit < 0 || !(o->max_bad >= 0 && o->max_bad <= 1))
        return FAIL(err, CLV_ERR_ARG, "data set \"%s\": limit %lld below 0, or max_bad %g not in [0, 1]", path,
                    (long long)o->limit, o->max_bad);
    clv_dataset *dataset = clvi_calloc(1, sizeof *dataset);
    clv_status st = CLV_OK;
    if (dataset) {
        dataset->range.fd = -1;
        dataset->max_bad = o->max_bad;
        dataset->arena = clvi_arena_create();
        dataset->path = dataset->arena ? clvi_arena_strdup(dataset->arena, path) : NULL;
    }
    if (!dataset || !dataset->path)
        st = FAIL(err, CLV_ERR_NOMEM, "data set \"%s\"", path);
    if (st == CLV_OK)
        st = open_kind(dataset, err);
    if (st == CLV_OK)
        st = finish(dataset, o, err);
    if (st == CLV_OK)
        *out = dataset;
    else
        clv_dataset_free(dataset);
    return clvi_data_status(st, err);
}

void clv_dataset_free(clv_dataset *dataset)
{
    if (!dataset)
        return;
    clvi_range_close(&dataset->range);
    clvi_arena_free(dataset->arena);
    clvi_free(dataset->items);
    clvi_free(dataset);
}

int64_t clv_dataset_count(const clv_dataset *dataset)
{
    return dataset->count;
}

const char *clv_dataset_name(const clv_dataset *dataset, int64_t index)
{
    return index >= 0 && index < dataset->count ? dataset->items[index].name : "";
}

int64_t clv_dataset_label(const clv_dataset *dataset, int64_t index)
{
    return index >= 0 && index < dataset->count ? dataset->items[index].label : -1;
}

int64_t clv_dataset_classes(const clv_dataset *dataset)
{
    return dataset->classes;
}

bool clv_dataset_is_tensor(const clv_dataset *dataset)
{
    return dataset->source->tensor != NULL;
}

int64_t clv_dataset_bad(const clv_dataset *dataset)
{
    return dataset->bad;
}
