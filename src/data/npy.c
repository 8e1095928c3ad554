/* SPDX-License-Identifier: Apache-2.0 */
/* One NumPy array <-> one tensor. */
#include "data/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "data/dataset.h"
#include "data/npy_header.h"

/* to (C order) from `from` (first index fastest), both of `count` elements of `size` bytes */
static void transpose(uint8_t *to, const uint8_t *from, const clvi_npy_header *h, size_t size)
{
    int64_t index[CLV_MAX_RANK] = {0}, stride[CLV_MAX_RANK] = {0};
    for (int d = 0; d < h->rank; d++)
        stride[d] = d ? stride[d - 1] * h->dims[d - 1] : 1;
    for (int64_t i = 0; i < h->count; i++, to += size) {
        int64_t at = 0;
        for (int d = 0; d < h->rank; d++)
            at += index[d] * stride[d];
        memcpy(to, from + (size_t)at * size, size);
        for (int d = h->rank - 1; d >= 0 && ++index[d] == h->dims[d]; d--)
            index[d] = 0;
    }
}

clv_status clvi_npy_read_range(clv_tensor *out, const clvi_range *range, clv_error *err)
{
    clv_status st;
    clvi_npy_header h;
    uint8_t *data = NULL, *ordered = NULL;

    *out = (clv_tensor){0};
    TRY(clvi_npy_header_read(&h, range, err));
    const size_t size = clv_dtype_size(h.dtype), bytes = (size_t)h.count * size; /* checked with the header */
    const bool move = h.fortran && h.rank > 1 && h.count > 0;
    data = clvi_alloc(bytes);
    ordered = move ? clvi_alloc(bytes) : NULL;
    if (!data || (move && !ordered)) {
        st = FAIL(err, CLV_ERR_NOMEM, "%zu bytes of \"%s\"", bytes, range->path);
        goto out;
    }
    if ((st = clvi_range_read(range, data, bytes, h.data_offset, err)) != CLV_OK)
        goto out;
    if (move)
        transpose(ordered, data, &h, size);
    uint8_t **result = move ? &ordered : &data;
    for (int64_t i = 0; h.dtype == CLV_BOOL && i < h.count; i++)
        (*result)[i] = (*result)[i] != 0;
    out->dtype = h.dtype;
    out->rank = h.rank;
    memcpy(out->dims, h.dims, sizeof h.dims);
    out->data = *result;
    *result = NULL;
out:
    clvi_free(data);
    clvi_free(ordered);
    return st;
}

clv_status clv_npy_read(clv_tensor *out, const char *path, clv_error *err)
{
    clvi_range range;
    *out = (clv_tensor){0};
    TRY(clvi_range_of_file(&range, path, err));
    return clvi_data_status(clvi_npy_read_range(out, &range, err), err);
}

/* Version 1: magic, version, u16 length, dictionary padded with spaces so that the data begins at a multiple of 64. */
static size_t write_header(char *header, size_t capacity, const clv_tensor *t)
{
    size_t n = 10;
    n += (size_t)snprintf(header + n, capacity - n, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          clvi_npy_descr(t->dtype));
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(header + n, capacity - n, "%lld%s", (long long)t->dims[i],
                              t->rank == 1      ? ","
                              : i + 1 < t->rank ? ", "
                                                : "");
    n += (size_t)snprintf(header + n, capacity - n, "), }");
    const size_t whole = clvi_round_up(n + 1, 64);
    memset(header + n, ' ', whole - n - 1);
    header[whole - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((whole - 10) & 255);
    header[9] = (char)((whole - 10) >> 8);
    return whole;
}

clv_status clv_npy_write(const clv_tensor *tensor, const char *path, clv_error *err)
{
    char header[512];
    const int64_t count = clv_tensor_count(tensor);
    size_t bytes;
    if (count < 0 || tensor->rank < 0 || tensor->rank > CLV_MAX_RANK || (count > 0 && !tensor->data))
        return FAIL(err, CLV_ERR_ARG, "\"%s\" cannot hold a tensor with broken dimensions", path);
    if (!clvi_npy_descr(tensor->dtype))
        return FAIL(err, CLV_ERR_ARG, "\"%s\": a NumPy file cannot hold %s", path, clv_dtype_name(tensor->dtype));
    if (!clvi_mul((size_t)count, clv_dtype_size(tensor->dtype), &bytes))
        return FAIL(err, CLV_ERR_ARG, "\"%s\": %lld elements overflow", path, (long long)count);
    const size_t n = write_header(header, sizeof header, tensor);
    clvi_file_writer *writer = NULL;
    TRY(clvi_file_create(&writer, path, err));
    clv_status st = clvi_file_write(writer, header, n, err);
    if (st == CLV_OK && bytes > 0)
        st = clvi_file_write(writer, tensor->data, bytes, err);
    if (st == CLV_OK)
        st = clvi_file_commit(writer, err);
    clvi_file_free(writer);
    return st;
}

void clv_npy_free(clv_tensor *tensor)
{
    if (!tensor)
        return;
    clvi_free(tensor->data);
    *tensor = (clv_tensor){0};
}
