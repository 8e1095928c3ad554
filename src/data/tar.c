/* SPDX-License-Identifier: Apache-2.0 */
/* A header block of 512 bytes:
 *   name[0,100) mode uid gid size[124,136) mtime checksum[148,156) type[156] link magic[257,263) ... prefix[345,500)
 * followed by the data, padded to 512. Type 'L' holds the long name of the next member, 'x' pax records about it. */
#include "data/tar.h"

#include <string.h>

#include "base/mem.h"

#define BLOCK     512
#define EXTRA_MAX (1 << 20) /* bytes of a long name or of pax records */

clv_status clvi_tar_open(clvi_tar *tar, const char *path, clv_error *err)
{
    *tar = (clvi_tar){0};
    return clvi_range_open(&tar->range, path, err);
}

void clvi_tar_close(clvi_tar *tar)
{
    clvi_str_free(&tar->name);
    clvi_range_close(&tar->range);
}

/* Octal digits between spaces and a NUL, or base 256 when the first bit is set. */
static bool parse_number(const uint8_t *field, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    if (field[0] & 0x80) {
        if (field[0] != 0x80)
            return false; /* negative, or too large */
        for (size_t i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | field[i];
        }
        *out = v;
        return true;
    }
    size_t i = 0;
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(field[i] - '0');
    *out = v;
    return i == n || field[i] == ' ' || field[i] == '\0';
}

/* The sum of all bytes, the checksum's own taken as spaces. */
static bool checksum_is_right(const uint8_t *block)
{
    uint64_t sum = 0, stored;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return parse_number(block + 148, 8, &stored) && stored == sum;
}

static void set_name(clvi_str *name, const void *bytes, size_t n)
{
    name->size = 0;
    clvi_str_append(name, bytes, strnlen(bytes, n));
}

static void name_of_header(clvi_str *name, const uint8_t *block)
{
    name->size = 0;
    if (memcmp(block + 257, "ustar", 6) == 0 && block[345]) {
        clvi_str_append(name, block + 345, strnlen((const char *)block + 345, 155));
        clvi_str_puts(name, "/");
    }
    clvi_str_append(name, block, strnlen((const char *)block, 100));
}

/* Records "length key=value\n" of which path and size matter. */
static bool apply_pax(const char *p, size_t n, clvi_str *name, uint64_t *size)
{
    while (n > 0) {
        size_t length = 0, i = 0;
        for (; i < n && i < 8 && p[i] >= '0' && p[i] <= '9'; i++)
            length = length * 10 + (size_t)(p[i] - '0');
        if (i == n || p[i] != ' ' || length > n || length < i + 3 || p[length - 1] != '\n')
            return false;
        const char *key = p + i + 1, *end = p + length - 1;
        if (end - key > 5 && memcmp(key, "path=", 5) == 0)
            set_name(name, key + 5, (size_t)(end - key) - 5);
        if (end - key > 5 && memcmp(key, "size=", 5) == 0) {
            *size = 0;
            for (key += 5; key < end; key++) {
                if (*key < '0' || *key > '9' || *size > UINT64_MAX / 20)
                    return false;
                *size = *size * 10 + (uint64_t)(*key - '0');
            }
        }
        p += length;
        n -= length;
    }
    return true;
}

/* A long name or pax records, which lie at tar->at - rounded size; they are about the member that follows. */
static clv_status read_extra(const clvi_tar *tar, char type, uint64_t offset, uint64_t n, clvi_str *name,
                             uint64_t *size, clv_error *err)
{
    if (n > EXTRA_MAX)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\": %llu bytes of member description at byte %llu", tar->range.path,
                    (unsigned long long)n, (unsigned long long)offset);
    char *bytes = clvi_alloc((size_t)n);
    if (!bytes)
        return FAIL(err, CLV_ERR_NOMEM, "member description of \"%s\"", tar->range.path);
    clv_status st = clvi_range_read(&tar->range, bytes, (size_t)n, offset, err);
    if (st == CLV_OK && type == 'L')
        set_name(name, bytes, (size_t)n);
    else if (st == CLV_OK && !apply_pax(bytes, (size_t)n, name, size))
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\": malformed pax records at byte %llu", tar->range.path,
                  (unsigned long long)offset);
    clvi_free(bytes);
    return st;
}

static bool is_zero(const uint8_t *block)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

/* The header at tar->at, checked; moves past it and its data. */
static clv_status read_header(clvi_tar *tar, uint8_t *block, bool *end, clv_error *err)
{
    const uint64_t at = tar->at;
    *end = at == tar->range.size; /* tolerated: no closing blocks */
    if (*end)
        return CLV_OK;
    TRY(clvi_range_read(&tar->range, block, BLOCK, at, err));
    *end = is_zero(block);
    if (*end)
        return CLV_OK;
    if (!checksum_is_right(block) || !parse_number(block + 124, 12, &tar->size))
        return FAIL(err, CLV_ERR_FORMAT,
                    "\"%s\" has no tar header at byte %llu: not a tar, or damaged (a compressed one must be unpacked)",
                    tar->range.path, (unsigned long long)at);
    tar->offset = at + BLOCK;
    return CLV_OK;
}

static clv_status skip_data(clvi_tar *tar, clv_error *err)
{
    const uint64_t left = tar->range.size - tar->offset;
    if (tar->size > left)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" is cut off: the member at byte %llu has %llu bytes, %llu are left",
                    tar->range.path, (unsigned long long)tar->offset, (unsigned long long)tar->size,
                    (unsigned long long)left);
    const uint64_t padding = (BLOCK - tar->size % BLOCK) % BLOCK;
    tar->at = tar->offset + tar->size + (padding < left - tar->size ? padding : left - tar->size);
    return CLV_OK;
}

clv_status clvi_tar_next(clvi_tar *tar, bool *more, clv_error *err)
{
    uint8_t block[BLOCK];
    clvi_str long_name = {0};
    uint64_t long_size = UINT64_MAX;
    clv_status st = CLV_OK;
    bool end = false;
    *more = false;
    while (st == CLV_OK && !*more) {
        if ((st = read_header(tar, block, &end, err)) != CLV_OK || end)
            break;
        const char type = (char)block[156];
        if (type == 'L' || type == 'x') {
            if ((st = skip_data(tar, err)) == CLV_OK)
                st = read_extra(tar, type, tar->offset, tar->size, &long_name, &long_size, err);
            continue;
        }
        if (type == 'S') {
            st = FAIL(err, CLV_ERR_UNSUP, "\"%s\" has a sparse member at byte %llu", tar->range.path,
                      (unsigned long long)tar->offset);
            break;
        }
        if (long_size != UINT64_MAX)
            tar->size = long_size;
        if (type >= '1' && type <= '6') /* links, devices, folders: no data */
            tar->size = 0;
        if ((st = skip_data(tar, err)) != CLV_OK)
            break;
        *more = type == '0' || type == '7' || type == '\0';
        if (*more && long_name.size > 0)
            set_name(&tar->name, long_name.text, long_name.size);
        else if (*more)
            name_of_header(&tar->name, block);
        long_name.size = type == 'g' || type == 'K' ? long_name.size : 0; /* 'K' may stand between 'L' and its member */
        long_size = type == 'g' || type == 'K' ? long_size : UINT64_MAX;
    }
    while (*more && tar->name.size > 2 && memcmp(tar->name.text, "./", 2) == 0) {
        memmove(tar->name.text, tar->name.text + 2, tar->name.size - 1);
        tar->name.size -= 2;
    }
    if (st == CLV_OK && (long_name.failed || tar->name.failed))
        st = FAIL(err, CLV_ERR_NOMEM, "member names of \"%s\"", tar->range.path);
    clvi_str_free(&long_name);
    return st;
}
