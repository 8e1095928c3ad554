/* SPDX-License-Identifier: Apache-2.0 */
#include "data/npy_header.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define HEADER_MAX 65536 /* bytes of the dictionary; NumPy itself stops at 10,000 */

static const struct {
    const char *descr;
    clv_dtype dtype;
} types[] = {{"<f4", CLV_FLOAT32}, {"<f8", CLV_FLOAT64}, {"<f2", CLV_FLOAT16}, {"|u1", CLV_UINT8},
             {"|i1", CLV_INT8},    {"<u2", CLV_UINT16},  {"<i2", CLV_INT16},   {"<u4", CLV_UINT32},
             {"<i4", CLV_INT32},   {"<u8", CLV_UINT64},  {"<i8", CLV_INT64},   {"|b1", CLV_BOOL}};

const char *clvi_npy_descr(clv_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype)
            return types[i].descr;
    return NULL;
}

/* A cursor over the dictionary's text. */
typedef struct text {
    const char *at, *end;
} text;

static void skip_space(text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t'))
        t->at++;
}

static bool take(text *t, const char *token)
{
    const size_t n = strlen(token);
    skip_space(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, token, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* A quoted string without escapes, into out[size]. */
static bool take_string(text *t, char *out, size_t size)
{
    skip_space(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    const char quote = *t->at++;
    size_t n = 0;
    while (t->at < t->end && *t->at != quote && n + 1 < size)
        out[n++] = *t->at++;
    out[n] = '\0';
    return t->at < t->end && *t->at++ == quote;
}

static bool take_size(text *t, int64_t *out)
{
    int64_t v = 0;
    skip_space(t);
    const char *first = t->at;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (!clvi_mul_i64(v, 10, &v) || !clvi_add_i64(v, *t->at - '0', &v))
            return false;
    *out = v;
    const bool found = t->at > first;
    (void)take(t, "L"); /* Python 2 */
    return found;
}

static bool take_shape(text *t, clvi_npy_header *h, bool *too_deep)
{
    if (!take(t, "("))
        return false;
    for (h->rank = 0; !take(t, ")"); h->rank++) {
        if (h->rank == CLV_MAX_RANK) {
            *too_deep = true;
            return true;
        }
        if (!take_size(t, &h->dims[h->rank]))
            return false;
        if (!take(t, ",")) {
            h->rank++;
            return take(t, ")");
        }
    }
    return true;
}

static clv_status set_type(clvi_npy_header *h, const char *descr, const char *path, clv_error *err)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(descr + 1, types[i].descr + 1) == 0 &&
            (*descr == '<' || *descr == '=' || *descr == '|' || types[i].descr[0] == '|')) {
            h->dtype = types[i].dtype;
            return CLV_OK;
        }
    return FAIL(err, CLV_ERR_UNSUP,
                "\"%s\" has elements \"%s\"%s; little-endian f2 f4 f8, i1..i8, u1..u8 and b1 are read", path, descr,
                *descr == '>' ? " (big-endian)" : "");
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } in any order, each once */
static clv_status parse(clvi_npy_header *h, text t, const char *path, clv_error *err)
{
    char key[16], descr[16] = "";
    bool has_order = false, has_shape = false, too_deep = false;
    bool good = take(&t, "{");
    while (good && !take(&t, "}")) {
        good = take_string(&t, key, sizeof key) && take(&t, ":");
        if (!good)
            break;
        if (strcmp(key, "descr") == 0 && !*descr) {
            if (take(&t, "["))
                return FAIL(err, CLV_ERR_UNSUP, "\"%s\" holds structured elements, plain numbers are read", path);
            good = take_string(&t, descr, sizeof descr) && *descr;
        } else if (strcmp(key, "fortran_order") == 0 && !has_order) {
            h->fortran = take(&t, "True");
            good = has_order = h->fortran || take(&t, "False");
        } else if (strcmp(key, "shape") == 0 && !has_shape) {
            good = has_shape = take_shape(&t, h, &too_deep);
        } else {
            good = false;
        }
        if (too_deep)
            return FAIL(err, CLV_ERR_UNSUP, "\"%s\" has more than %d dimensions", path, CLV_MAX_RANK);
        if (good && !take(&t, ",")) {
            good = take(&t, "}");
            break;
        }
    }
    skip_space(&t);
    if (!good || t.at != t.end || !*descr || !has_order || !has_shape)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has a malformed NumPy header", path);
    return set_type(h, descr, path, err);
}

static clv_status check_size(clvi_npy_header *h, const clvi_range *range, clv_error *err)
{
    const uint64_t present = range->size - h->data_offset;
    int64_t bytes;
    h->count = 1;
    for (int i = 0; i < h->rank; i++)
        if (!clvi_mul_i64(h->count, h->dims[i], &h->count))
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the size of the array overflows at dimension %d of %lld",
                        range->path, i, (long long)h->dims[i]);
    if (!clvi_mul_i64(h->count, (int64_t)clv_dtype_size(h->dtype), &bytes) || (uint64_t)bytes != present)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": %lld elements of %s were announced, %llu bytes of data are there",
                    range->path, (long long)h->count, clv_dtype_name(h->dtype), (unsigned long long)present);
    return CLV_OK;
}

clv_status clvi_npy_header_read(clvi_npy_header *h, const clvi_range *range, clv_error *err)
{
    uint8_t start[12] = {0};
    *h = (clvi_npy_header){0};
    if (range->size < 10)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has %llu bytes: not a NumPy array", range->path,
                    (unsigned long long)range->size);
    TRY(clvi_range_read(range, start, range->size < 12 ? 10 : 12, 0, err));
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" does not begin as a NumPy array does", range->path);
    if (start[6] < 1 || start[6] > 3)
        return FAIL(err, CLV_ERR_UNSUP, "\"%s\" is NumPy format version %d, 1 to 3 are read", range->path, start[6]);
    uint64_t n = (uint64_t)start[8] | (uint64_t)start[9] << 8, at = 10;
    if (start[6] > 1) {
        n |= (uint64_t)start[10] << 16 | (uint64_t)start[11] << 24;
        at = 12;
    }
    if (n > HEADER_MAX)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has a NumPy header of %llu bytes, %d is the most", range->path,
                    (unsigned long long)n, HEADER_MAX);
    char *buffer = clvi_alloc((size_t)n);
    if (!buffer)
        return FAIL(err, CLV_ERR_NOMEM, "header of \"%s\"", range->path);
    clv_status st = clvi_range_read(range, buffer, (size_t)n, at, err);
    h->data_offset = at + n;
    if (st == CLV_OK)
        st = parse(h, (text){buffer, buffer + n}, range->path, err);
    if (st == CLV_OK)
        st = check_size(h, range, err);
    clvi_free(buffer);
    return st;
}
