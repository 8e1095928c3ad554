/* SPDX-License-Identifier: Apache-2.0 */
/* The binary version of CIFAR-10 and CIFAR-100: records of [coarse label,] label and 3x32x32 bytes, channel after
 * channel. */
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/range.h"

#define PLANE  1024
#define PIXELS (3 * PLANE)

static clv_status read_image(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err)
{
    uint8_t planes[PIXELS];
    (void)dataset;
    TRY(clvi_file_read_at(planes, sizeof planes, item->offset, item->file, err));
    TRY(clvi_image_alloc(image, 32, 32, err));
    for (size_t i = 0; i < PLANE; i++)
        for (size_t c = 0; c < 3; c++)
            image->rgb[3 * i + c] = planes[c * PLANE + i];
    return CLV_OK;
}

static const clvi_source records = {.image = read_image};

/* Labels of the records of `kind` (label bytes, classes); false in *fits when one is out of range. */
static clv_status add_records(clv_dataset *dataset, const clvi_range *range, const char *name, size_t labels,
                              bool *fits, clv_error *err)
{
    const uint64_t record = labels + PIXELS, n = range->size / record;
    const int64_t before = dataset->count;
    const int classes[2][2] = {{10, 0}, {20, 100}}; /* by label bytes: of each byte */
    for (uint64_t i = 0; i < n && *fits; i++) {
        uint8_t label[2];
        TRY(clvi_range_read(range, label, labels, i * record, err));
        for (size_t k = 0; k < labels; k++)
            *fits &= label[k] < classes[labels - 1][k];
        const clvi_item item = {.name = clvi_arena_printf(dataset->arena, "%s#%05llu", name, (unsigned long long)i),
                                .file = range->path,
                                .offset = i * record + labels,
                                .size = PIXELS,
                                .label = label[labels - 1]};
        TRY(clvi_dataset_add(dataset, item, err));
    }
    if (!*fits)
        dataset->count = before;
    return CLV_OK;
}

clv_status clvi_cifar_add_file(clv_dataset *dataset, const char *path, const char *name, clv_error *err)
{
    clvi_range range;
    bool fits = false;
    clv_status st = CLV_OK;
    dataset->source = &records;
    TRY(clvi_range_open(&range, path, err));
    for (size_t labels = 1; labels <= 2 && !fits && st == CLV_OK; labels++) {
        fits = range.size > 0 && range.size % (labels + PIXELS) == 0;
        if (fits)
            st = add_records(dataset, &range, name, labels, &fits, err);
    }
    if (st == CLV_OK && !fits)
        st = FAIL(
            err, CLV_ERR_DATA,
            "\"%s\": its %llu bytes are neither CIFAR-10 records (%d bytes, labels 0 to 9) nor CIFAR-100 records (%d "
            "bytes, labels 0 to 19 and 0 to 99)",
            path, (unsigned long long)range.size, 1 + PIXELS, 2 + PIXELS);
    clvi_range_close(&range);
    return st;
}

clv_status clvi_open_cifar(clv_dataset *dataset, clv_error *err)
{
    const char *slash = strrchr(dataset->path, '/');
    return clvi_cifar_add_file(dataset, dataset->path, slash ? slash + 1 : dataset->path, err);
}
