/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/copy.h"

#include <string.h>

#include "base/size.h"

void *clvi_copy_array(clvi_arena *arena, const void *from, size_t n, size_t size)
{
    void *to = clvi_arena_calloc(arena, n, size);
    if (to && n)
        memcpy(to, from, n * size);
    return to;
}

bool clvi_copy_blob(clvi_arena *arena, clvi_blob *to, clvi_blob from)
{
    *to = (clvi_blob){0};
    if (!from.data)
        return true;
    char *data = clvi_arena_strndup(arena, (const char *)from.data, from.size);
    if (!data)
        return false;
    *to = (clvi_blob){(const uint8_t *)data, from.size};
    return true;
}

clv_tensor *clvi_copy_tensor(clvi_arena *arena, const clv_tensor *from)
{
    clv_tensor *to = clvi_arena_alloc(arena, sizeof *to);
    if (!to)
        return NULL;
    *to = *from;
    const size_t bytes = (size_t)clv_tensor_count(from) * clv_dtype_size(from->dtype);
    to->data = clvi_arena_alloc(arena, bytes);
    if (!to->data)
        return NULL;
    if (bytes)
        memcpy(to->data, from->data, bytes);
    return to;
}

clv_status clvi_check_tensor(const clv_tensor *tensor, const char *what, clv_error *err)
{
    const size_t size = clv_dtype_size(tensor->dtype);
    size_t bytes;
    if (size == 0)
        return FAIL(err, CLV_ERR_ARG, "tensor \"%s\": element type %d holds no data", what, (int)tensor->dtype);
    if (tensor->rank < 0 || tensor->rank > CLV_MAX_RANK)
        return FAIL(err, CLV_ERR_ARG, "tensor \"%s\": rank %d, 0 to %d were expected", what, tensor->rank,
                    CLV_MAX_RANK);
    const int64_t count = clv_tensor_count(tensor);
    if (count < 0 || !clvi_mul((size_t)count, size, &bytes) || bytes > PTRDIFF_MAX)
        return FAIL(err, CLV_ERR_ARG, "tensor \"%s\": a dimension is negative or the size overflows", what);
    if (count > 0 && !tensor->data)
        return FAIL(err, CLV_ERR_ARG, "tensor \"%s\": %lld elements but no data", what, (long long)count);
    return CLV_OK;
}
