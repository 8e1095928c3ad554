/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy arrays: images of uint8, or tensors of float32; a .npz may bring the labels too. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/npy.h"
#include "data/zip.h"

/* [n, c, h, w], [n, h, w, c] or [n, h, w]: the sizes of one image and the steps between its elements, in bytes */
typedef struct layout {
    int64_t c, h, w;
    size_t step_c, step_y, step_x;
} layout;

static bool layout_of(layout *l, const clvi_npy_header *a)
{
    const int64_t *d = a->dims;
    if (a->rank == 3)
        *l = (layout){1, d[1], d[2], 0, (size_t)d[2], 1};
    else if (a->rank == 4 && (d[1] == 1 || d[1] == 3))
        *l = (layout){d[1], d[2], d[3], (size_t)(d[2] * d[3]), (size_t)d[3], 1};
    else if (a->rank == 4 && (d[3] == 1 || d[3] == 3))
        *l = (layout){d[3], d[1], d[2], 1, (size_t)(d[2] * d[3]), (size_t)d[3]};
    else
        return false;
    return true;
}

static clv_status read_image(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err)
{
    layout l = {0};
    (void)layout_of(&l, &dataset->array); /* checked when opened */
    TRY(clvi_image_alloc(image, l.w, l.h, err));
    uint8_t *bytes = clvi_alloc((size_t)item->size);
    clv_status st = bytes ? clvi_range_read(&dataset->range, bytes, (size_t)item->size, item->offset, err)
                          : FAIL(err, CLV_ERR_NOMEM, "%zu bytes of \"%s\"", (size_t)item->size, item->name);
    uint8_t *to = image->rgb;
    for (size_t y = 0; st == CLV_OK && y < (size_t)l.h; y++)
        for (size_t x = 0; x < (size_t)l.w; x++)
            for (size_t c = 0; c < 3; c++)
                *to++ = bytes[y * l.step_y + x * l.step_x + (l.c == 3 ? c * l.step_c : 0)];
    clvi_free(bytes);
    if (st != CLV_OK)
        clvi_image_free(image);
    return st;
}

static clv_status read_tensor(float *out, const clv_dataset *dataset, const clvi_item *item, clv_error *err)
{
    return clvi_range_read(&dataset->range, out, (size_t)item->size, item->offset, err);
}

static const clvi_source pixel_arrays = {.image = read_image}, tensors = {.tensor = read_tensor};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are read as they lie in the file");

/* Turns dataset->range, an array named `name`, into items. */
static clv_status add_items(clv_dataset *dataset, const char *name, clv_error *err)
{
    clvi_npy_header *a = &dataset->array;
    layout l;
    TRY(clvi_npy_header_read(a, &dataset->range, err));
    const bool is_float = a->dtype == CLV_FLOAT32;
    if (is_float ? a->rank != 4 : a->dtype != CLV_UINT8 || !layout_of(&l, a))
        return FAIL(
            err, CLV_ERR_DATA,
            "\"%s\" holds %s of rank %d; uint8 [n,c,h,w] or [n,h,w,c] with 1 or 3 channels, uint8 [n,h,w], or float32 "
            "[n,c,h,w] was expected",
            dataset->path, clv_dtype_name(a->dtype), a->rank);
    if (a->fortran)
        return FAIL(err, CLV_ERR_DATA,
                    "\"%s\" is in Fortran order, so that an image is scattered over the file: save "
                    "numpy.ascontiguousarray of it",
                    dataset->path);
    if (a->count == 0)
        return FAIL(err, CLV_ERR_DATA, "\"%s\" holds an array without elements", dataset->path);
    const uint64_t size = (uint64_t)(a->count / a->dims[0]) * clv_dtype_size(a->dtype);
    dataset->source = is_float ? &tensors : &pixel_arrays;
    for (int64_t i = 0; i < a->dims[0]; i++) {
        const clvi_item item = {.name = clvi_arena_printf(dataset->arena, "%s[%lld]", name, (long long)i),
                                .file = dataset->path,
                                .offset = a->data_offset + (uint64_t)i * size,
                                .size = size,
                                .label = -1};
        TRY(clvi_dataset_add(dataset, item, err));
    }
    return CLV_OK;
}

clv_status clvi_open_npy(clv_dataset *dataset, clv_error *err)
{
    const char *slash = strrchr(dataset->path, '/');
    TRY(clvi_range_of_file(&dataset->range, dataset->path, err));
    return add_items(dataset, slash ? slash + 1 : dataset->path, err);
}

/* Element i of an integer tensor; -1 when it cannot be a label. */
static int64_t label_at(const clv_tensor *t, int64_t i)
{
    const size_t at = (size_t)i;
    int64_t v;
    switch (t->dtype) {
    case CLV_UINT8:
    case CLV_BOOL:
        v = ((const uint8_t *)t->data)[at];
        break;
    case CLV_INT8:
        v = ((const int8_t *)t->data)[at];
        break;
    case CLV_UINT16:
        v = ((const uint16_t *)t->data)[at];
        break;
    case CLV_INT16:
        v = ((const int16_t *)t->data)[at];
        break;
    case CLV_UINT32:
        v = ((const uint32_t *)t->data)[at];
        break;
    case CLV_INT32:
        v = ((const int32_t *)t->data)[at];
        break;
    case CLV_INT64:
    case CLV_UINT64: /* too large ones come out negative or above the limit */
        v = ((const int64_t *)t->data)[at];
        break;
    default:
        return -1;
    }
    return v >= 0 && v <= CLVI_LABEL_MAX ? v : -1;
}

static clv_status apply_labels(clv_dataset *dataset, const clv_tensor *labels, const char *name, clv_error *err)
{
    const int64_t n = clv_tensor_count(labels);
    if (n != dataset->count || labels->rank < 1 || labels->dims[0] != n)
        return FAIL(err, CLV_ERR_DATA, "\"%s\": array \"%s\" has %lld labels (rank %d) for %lld images", dataset->path,
                    name, (long long)n, labels->rank, (long long)dataset->count);
    for (int64_t i = 0; i < n; i++) {
        dataset->items[i].label = label_at(labels, i);
        if (dataset->items[i].label < 0)
            return FAIL(err, CLV_ERR_DATA, "\"%s\": label %lld of array \"%s\" (%s) is not an integer 0 to %d",
                        dataset->path, (long long)i, name, clv_dtype_name(labels->dtype), CLVI_LABEL_MAX);
    }
    return CLV_OK;
}

static clv_status read_labels(clv_dataset *dataset, const clvi_zip *zip, const clvi_zip_entry *entry, clv_error *err)
{
    clvi_range range;
    clv_tensor labels = {0};
    TRY(clvi_zip_member(&range, zip, entry, err));
    clv_status st = clvi_npy_read_range(&labels, &range, err);
    if (st == CLV_OK)
        st = apply_labels(dataset, &labels, entry->name, err);
    clv_npy_free(&labels);
    clvi_range_close(&range);
    return st;
}

/* The first of names (NULL-ended, without ".npy") that the zip holds. */
static const clvi_zip_entry *find(const clvi_zip *zip, const char *const *names)
{
    for (; *names; names++) {
        const size_t n = strlen(*names);
        for (size_t i = 0; i < zip->count; i++)
            if (strncmp(zip->entries[i].name, *names, n) == 0 && strcmp(zip->entries[i].name + n, ".npy") == 0)
                return &zip->entries[i];
    }
    return NULL;
}

/* The only array of rank 3 or 4. */
static clv_status find_only(const clvi_zip_entry **out, const clvi_zip *zip, clv_error *err)
{
    int found = 0;
    for (size_t i = 0; i < zip->count; i++) {
        clvi_range range;
        clvi_npy_header h;
        TRY(clvi_zip_member(&range, zip, &zip->entries[i], err));
        const clv_status st = clvi_npy_header_read(&h, &range, err);
        clvi_range_close(&range);
        if (st == CLV_ERR_NOMEM || st == CLV_ERR_IO)
            return st;
        if (st == CLV_OK && (h.rank == 3 || h.rank == 4)) {
            *out = &zip->entries[i];
            found++;
        }
    }
    if (found == 1)
        return CLV_OK;
    return FAIL(err, CLV_ERR_DATA,
                "\"%s\": of its %zu arrays none is called images, data or x, and %d have rank 3 or 4", zip->range.path,
                zip->count, found);
}

clv_status clvi_open_npz(clv_dataset *dataset, clv_error *err)
{
    static const char *const image_names[] = {"images", "data", "x", "X", NULL};
    static const char *const label_names[] = {"labels", "label", "y", "Y", NULL};
    clvi_zip zip;
    clv_status st = CLV_OK;
    TRY(clvi_zip_open(&zip, dataset->path, err));
    const clvi_zip_entry *data = find(&zip, image_names), *labels = find(&zip, label_names);
    if (!data)
        st = find_only(&data, &zip, err);
    if (st == CLV_OK)
        st = clvi_zip_member(&dataset->range, &zip, data, err);
    if (st == CLV_OK) {
        const char *name = clvi_arena_strdup(dataset->arena, data->name);
        st = name ? add_items(dataset, name, err) : FAIL(err, CLV_ERR_NOMEM, "name of \"%s\"", data->name);
    }
    if (st == CLV_OK && labels)
        st = read_labels(dataset, &zip, labels, err);
    clvi_zip_close(&zip);
    return st;
}
