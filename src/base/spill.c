/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spill.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"

struct clvi_spill {
    size_t rows, row_bytes;
    clvi_room *room;
    uint8_t *memory; /* or NULL: in the file */
    int fd;
};

static clv_status open_file(int *fd, size_t bytes, clv_error *err)
{
    TRY(clvi_file_unnamed(fd, err));
    if (ftruncate(*fd, (off_t)bytes) == 0)
        return CLV_OK;
    const int reason = errno;
    (void)close(*fd);
    return FAIL(err, CLV_ERR_IO, "cannot make a temporary file of %.1f MB: %s", (double)bytes * 1e-6, strerror(reason));
}

clv_status clvi_spill_create(clvi_spill **out, size_t rows, size_t row_bytes, clvi_room *room, clv_error *err)
{
    size_t bytes;
    *out = NULL;
    if (!clvi_mul(rows, row_bytes, &bytes) || bytes > (size_t)INT64_MAX)
        return FAIL(err, CLV_ERR_ARG, "%zu rows of %zu bytes", rows, row_bytes);
    clvi_spill *s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "%zu rows", rows);
    *s = (clvi_spill){.rows = rows, .row_bytes = row_bytes, .room = room, .fd = -1};
    if (bytes <= room->free_bytes && (s->memory = clvi_calloc(rows, row_bytes)))
        room->free_bytes -= bytes;
    const clv_status st = s->memory ? CLV_OK : open_file(&s->fd, bytes, err);
    if (st == CLV_OK)
        *out = s;
    else
        clvi_free(s);
    return st;
}

void clvi_spill_free(clvi_spill *s)
{
    if (!s)
        return;
    if (s->memory)
        s->room->free_bytes += s->rows * s->row_bytes;
    else
        (void)close(s->fd);
    clvi_free(s->memory);
    clvi_free(s);
}

static clv_status check_range(const clvi_spill *s, size_t first, size_t n, clv_error *err)
{
    if (first > s->rows || n > s->rows - first)
        return FAIL(err, CLV_ERR_ARG, "rows %zu to %zu of %zu", first, first + n, s->rows);
    return CLV_OK;
}

clv_status clvi_spill_write(clvi_spill *s, size_t first, size_t n, const void *rows, clv_error *err)
{
    TRY(check_range(s, first, n, err));
    const size_t size = n * s->row_bytes, at = first * s->row_bytes;
    if (s->memory) {
        memcpy(s->memory + at, rows, size);
        return CLV_OK;
    }
    for (size_t done = 0; done < size;) {
        const ssize_t count = pwrite(s->fd, (const uint8_t *)rows + done, size - done, (off_t)(at + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return FAIL(err, CLV_ERR_IO, "cannot write %zu bytes of activations to a temporary file: %s", size - done,
                        count < 0 ? strerror(errno) : "nothing was written");
        done += (size_t)count;
    }
    return CLV_OK;
}

clv_status clvi_spill_read(clvi_spill *s, size_t first, size_t n, void *rows, clv_error *err)
{
    TRY(check_range(s, first, n, err));
    const size_t size = n * s->row_bytes, at = first * s->row_bytes;
    if (s->memory) {
        memcpy(rows, s->memory + at, size);
        return CLV_OK;
    }
    for (size_t done = 0; done < size;) {
        const ssize_t count = pread(s->fd, (uint8_t *)rows + done, size - done, (off_t)(at + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return FAIL(err, CLV_ERR_IO, "cannot read %zu bytes of activations back from a temporary file: %s",
                        size - done, count < 0 ? strerror(errno) : "it ends too early");
        done += (size_t)count;
    }
    return CLV_OK;
}
