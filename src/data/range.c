/* SPDX-License-Identifier: Apache-2.0 */
#include "data/range.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

clv_status clvi_range_of_file(clvi_range *range, const char *path, clv_error *err)
{
    struct stat info;
    *range = (clvi_range){.path = path, .fd = -1};
    if (stat(path, &info) != 0)
        return FAIL(err, CLV_ERR_IO, "cannot open \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return FAIL(err, CLV_ERR_IO, "\"%s\" is not a regular file", path);
    range->size = (uint64_t)info.st_size;
    return CLV_OK;
}

clv_status clvi_range_open(clvi_range *range, const char *path, clv_error *err)
{
    TRY(clvi_range_of_file(range, path, err));
    range->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (range->fd < 0)
        return FAIL(err, CLV_ERR_IO, "cannot open \"%s\": %s", path, strerror(errno));
    return CLV_OK;
}

clv_status clvi_range_read(const clvi_range *range, void *to, size_t n, uint64_t at, clv_error *err)
{
    if (at > range->size || n > range->size - at)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" ends after %llu bytes, %zu at offset %llu were expected", range->path,
                    (unsigned long long)range->size, n, (unsigned long long)at);
    if (range->fd < 0)
        return clvi_file_read_at(to, n, range->offset + at, range->path, err);
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(range->fd, (char *)to + done, n - done, (off_t)(range->offset + at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return FAIL(err, CLV_ERR_IO, "cannot read \"%s\": %s", range->path,
                        got < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)got;
    }
    return CLV_OK;
}

void clvi_range_close(clvi_range *range)
{
    if (range->fd >= 0)
        (void)close(range->fd);
    *range = (clvi_range){.fd = -1};
}
