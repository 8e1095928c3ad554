/* SPDX-License-Identifier: Apache-2.0 */
/* builtin:shapes?n=4000&seed=1: pictures that are drawn when they are asked for, sorted by class. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/shapes.h"

#define CLASSES       CLVI_SHAPES_CLASSES
#define DEFAULT_COUNT 4000
#define MAX_COUNT     1000000

/* item->offset is number * CLASSES + kind */
static clv_status read_image(clvi_image *image, const clv_dataset *dataset, const clvi_item *item, clv_error *err)
{
    TRY(clvi_image_alloc(image, CLVI_SHAPES_SIDE, CLVI_SHAPES_SIDE, err));
    clvi_shapes_draw(image->rgb, (int)(item->offset % CLASSES), dataset->seed, item->offset / CLASSES);
    return CLV_OK;
}

static const clvi_source shapes = {.image = read_image};

/* "n=4000&seed=1", in any order, each at most once in effect; an empty text changes nothing. */
static clv_status parse(const char *text, uint64_t *n, uint64_t *seed, const char *path, clv_error *err)
{
    while (*text) {
        uint64_t *const to = strncmp(text, "n=", 2) == 0 ? n : strncmp(text, "seed=", 5) == 0 ? seed : NULL;
        const char *const digits = strchr(text, '=') ? strchr(text, '=') + 1 : text;
        char *end = NULL;
        errno = 0;
        const unsigned long long value = strtoull(digits, &end, 10);
        if (!to || *digits < '0' || *digits > '9' || errno || (*end && *end != '&'))
            return FAIL(err, CLV_ERR_DATA, "\"%s\": what follows ? must read n=4000 or seed=1 or n=4000&seed=1", path);
        *to = value;
        text = *end ? end + 1 : end;
    }
    return CLV_OK;
}

clv_status clvi_open_builtin(clv_dataset *dataset, clv_error *err)
{
    const char *const name = dataset->path + strlen(CLVI_BUILTIN), *const query = strchr(name, '?');
    const size_t length = query ? (size_t)(query - name) : strlen(name);
    uint64_t n = DEFAULT_COUNT;
    dataset->seed = 1;
    if (length != 6 || strncmp(name, "shapes", length) != 0)
        return FAIL(err, CLV_ERR_DATA, "\"%s\": the only built-in data set is builtin:shapes", dataset->path);
    TRY(parse(query ? query + 1 : "", &n, &dataset->seed, dataset->path, err));
    if (n < 1 || n > MAX_COUNT)
        return FAIL(err, CLV_ERR_DATA, "\"%s\": n is %" PRIu64 ", 1 to %d are possible", dataset->path, n, MAX_COUNT);
    dataset->source = &shapes;
    for (uint64_t i = 0, number = 0, last = 0; i < n; i++) {
        const uint64_t kind = i * CLASSES / n;
        number = kind == last ? number : 0;
        last = kind;
        const clvi_item item = {
            .name = clvi_arena_printf(dataset->arena, "%s/%06" PRIu64, clvi_shapes_name((int)kind), number),
            .file = dataset->path,
            .offset = number * CLASSES + kind,
            .label = (int64_t)kind};
        TRY(clvi_dataset_add(dataset, item, err));
        number++;
    }
    return CLV_OK;
}
