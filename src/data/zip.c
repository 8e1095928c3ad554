/* SPDX-License-Identifier: Apache-2.0 */
#include "data/zip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"

#define DIRECTORY_MAX ((uint64_t)1 << 24)
#define TAIL_MAX      (22 + 65535) /* end record and the longest comment */
#define BUFFER        65536
#define MAX_DEFLATE   1032 /* deflate never does better than 1032 bytes out of one */

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

typedef struct directory {
    uint64_t offset, size, count;
} directory;

/* The zip64 end record, found by its locator, which lies right before the end record at `end`. */
static clv_status find_zip64(directory *d, const clvi_range *range, uint64_t end, clv_error *err)
{
    uint8_t locator[20], record[56];
    if (end < 20)
        return CLV_OK;
    TRY(clvi_range_read(range, locator, 20, end - 20, err));
    if (u32(locator) != 0x07064b50)
        return CLV_OK;
    TRY(clvi_range_read(range, record, 56, u64(locator + 8), err));
    if (u32(record) != 0x06064b50)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the zip64 end record is not where its locator says", range->path);
    d->count = u64(record + 32);
    d->size = u64(record + 40);
    d->offset = u64(record + 48);
    return CLV_OK;
}

static clv_status find_directory(directory *d, const clvi_range *range, clv_error *err)
{
    const size_t n = (size_t)(range->size < TAIL_MAX ? range->size : TAIL_MAX);
    uint8_t *tail = clvi_alloc(n);
    if (!tail)
        return FAIL(err, CLV_ERR_NOMEM, "end of \"%s\"", range->path);
    clv_status st = clvi_range_read(range, tail, n, range->size - n, err);
    bool found = false;
    for (size_t i = n; st == CLV_OK && i-- > 0 && !found;)
        if (i + 22 <= n && u32(tail + i) == 0x06054b50 && i + 22 + u16(tail + i + 20) == n) {
            const uint8_t *p = tail + i;
            found = true;
            *d = (directory){.count = u16(p + 10), .size = u32(p + 12), .offset = u32(p + 16)};
            if (u16(p + 4) != 0 && u16(p + 4) != 0xffff)
                st = FAIL(err, CLV_ERR_UNSUP, "\"%s\" is one of several disks of a zip", range->path);
            else
                st = find_zip64(d, range, range->size - n + i, err);
        }
    clvi_free(tail);
    if (st == CLV_OK && !found)
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\" has no end-of-directory record: not a zip, or truncated", range->path);
    return st;
}

/* Sizes that do not fit 32 bits are in extra field 1, in this order, only those that are needed. */
static bool apply_zip64(clvi_zip_entry *e, const uint8_t *extra, size_t n)
{
    while (n >= 4) {
        const size_t id = u16(extra), size = u16(extra + 2);
        if (size > n - 4)
            return false;
        if (id == 1) {
            uint64_t *const fields[] = {&e->size, &e->packed, &e->offset};
            size_t at = 4;
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != 0xffffffff)
                    continue;
                if (at + 8 > size + 4)
                    return false;
                *fields[i] = u64(extra + at);
                at += 8;
            }
        }
        extra += size + 4;
        n -= size + 4;
    }
    return true;
}

static clv_status read_entries(clvi_zip *zip, const uint8_t *bytes, const directory *d, clv_error *err)
{
    const uint8_t *p = bytes, *end = bytes + d->size;
    char *name = zip->names;
    for (; zip->count < d->count; zip->count++) {
        clvi_zip_entry *e = &zip->entries[zip->count];
        if (end - p < 46 || u32(p) != 0x02014b50)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": entry %zu of the zip directory is malformed", zip->range.path,
                        zip->count);
        const size_t n = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
        if ((size_t)(end - p) - 46 < n + extra + comment)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": entry %zu of the zip directory is cut short", zip->range.path,
                        zip->count);
        *e = (clvi_zip_entry){.name = name,
                              .offset = u32(p + 42),
                              .packed = u32(p + 20),
                              .size = u32(p + 24),
                              .crc = u32(p + 16),
                              .method = u16(p + 10),
                              .flags = u16(p + 8)};
        memcpy(name, p + 46, n);
        name[n] = '\0';
        name += n + 1;
        if (!apply_zip64(e, p + 46 + n, extra))
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": member \"%s\" has a malformed extra field", zip->range.path,
                        e->name);
        p += 46 + n + extra + comment;
    }
    return CLV_OK;
}

clv_status clvi_zip_open(clvi_zip *zip, const char *path, clv_error *err)
{
    clv_status st;
    directory d = {0};
    uint8_t *bytes = NULL;

    *zip = (clvi_zip){0};
    TRY(clvi_range_of_file(&zip->range, path, err));
    TRY(find_directory(&d, &zip->range, err));
    if (d.size > DIRECTORY_MAX || d.count > d.size / 46)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": a zip directory of %llu entries in %llu bytes", path,
                    (unsigned long long)d.count, (unsigned long long)d.size);
    bytes = clvi_alloc((size_t)d.size);
    zip->names = clvi_alloc((size_t)(d.size + d.count)); /* each name and its NUL */
    zip->entries = clvi_alloc_array((size_t)d.count, sizeof *zip->entries);
    if (!bytes || !zip->names || !zip->entries)
        st = FAIL(err, CLV_ERR_NOMEM, "zip directory of \"%s\"", path);
    else if ((st = clvi_range_read(&zip->range, bytes, (size_t)d.size, d.offset, err)) == CLV_OK)
        st = read_entries(zip, bytes, &d, err);
    clvi_free(bytes);
    if (st != CLV_OK)
        clvi_zip_close(zip);
    return st;
}

void clvi_zip_close(clvi_zip *zip)
{
    clvi_free(zip->names);
    clvi_free(zip->entries);
    *zip = (clvi_zip){0};
}

static clv_status write_fully(int fd, const uint8_t *bytes, size_t size, clv_error *err)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FAIL(err, CLV_ERR_IO, "cannot write a temporary file: %s", strerror(n < 0 ? errno : ENOSPC));
        done += (size_t)n;
    }
    return CLV_OK;
}

static void *z_alloc(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return clvi_alloc_array(n, size);
}

static void z_free(void *opaque, void *block)
{
    (void)opaque;
    clvi_free(block);
}

/* Unpack packed[0, entry->packed) to out->fd; buffers holds 2 * BUFFER bytes. */
static clv_status inflate_to(const clvi_range *out, const clvi_range *packed, const clvi_zip_entry *e, uint8_t *buffers,
                             clv_error *err)
{
    z_stream z = {.zalloc = z_alloc, .zfree = z_free};
    clv_status st = CLV_OK;
    uint64_t in = 0, written = 0;
    uLong crc = crc32(0, NULL, 0);
    int code = Z_OK;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return FAIL(err, CLV_ERR_NOMEM, "decompressor");
    while (st == CLV_OK && code == Z_OK) {
        if (z.avail_in == 0 && in < packed->size) {
            const size_t n = (size_t)(packed->size - in < BUFFER ? packed->size - in : BUFFER);
            if ((st = clvi_range_read(packed, buffers, n, in, err)) != CLV_OK)
                break;
            in += n;
            z.next_in = buffers;
            z.avail_in = (uInt)n;
        }
        z.next_out = buffers + BUFFER;
        z.avail_out = BUFFER;
        code = inflate(&z, Z_NO_FLUSH);
        const size_t n = BUFFER - z.avail_out;
        written += n;
        if (written > e->size)
            break;
        crc = crc32(crc, buffers + BUFFER, (uInt)n);
        st = write_fully(out->fd, buffers + BUFFER, n, err);
    }
    (void)inflateEnd(&z);
    if (st == CLV_OK && code == Z_MEM_ERROR)
        return FAIL(err, CLV_ERR_NOMEM, "decompressor");
    if (st == CLV_OK && (code != Z_STREAM_END || written != e->size || crc != e->crc))
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the compressed member \"%s\" is corrupt", packed->path, e->name);
    return st;
}

clv_status clvi_zip_member(clvi_range *out, const clvi_zip *zip, const clvi_zip_entry *e, clv_error *err)
{
    uint8_t local[30];
    const char *path = zip->range.path;
    *out = (clvi_range){.path = path, .fd = -1};
    TRY(clvi_range_read(&zip->range, local, sizeof local, e->offset, err));
    if (u32(local) != 0x04034b50)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": member \"%s\" is not where the directory says", path, e->name);
    const uint64_t start = e->offset + sizeof local + u16(local + 26) + u16(local + 28);
    if (start > zip->range.size || e->packed > zip->range.size - start)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": member \"%s\" reaches beyond the end of the file", path, e->name);
    if ((e->flags & 1) || (e->method != 0 && e->method != 8))
        return FAIL(err, CLV_ERR_UNSUP,
                    "\"%s\": member \"%s\" is encrypted or packed by method %u, stored and deflated ones are read",
                    path, e->name, e->method);
    const clvi_range packed = {.path = path, .fd = -1, .offset = start, .size = e->packed};
    if (e->method == 0) {
        if (e->size != e->packed)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the stored member \"%s\" has two sizes", path, e->name);
        *out = packed;
        return CLV_OK;
    }
    if (e->size / MAX_DEFLATE > e->packed)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": member \"%s\" cannot unpack from %llu to %llu bytes", path, e->name,
                    (unsigned long long)e->packed, (unsigned long long)e->size);
    uint8_t *buffers = clvi_alloc(2 * BUFFER);
    if (!buffers)
        return FAIL(err, CLV_ERR_NOMEM, "decompressor");
    out->size = e->size;
    clv_status st = clvi_file_unnamed(&out->fd, err);
    if (st == CLV_OK)
        st = inflate_to(out, &packed, e, buffers, err);
    clvi_free(buffers);
    if (st != CLV_OK)
        clvi_range_close(out);
    return st;
}
