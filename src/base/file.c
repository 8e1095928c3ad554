/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static clv_status read_fully(int fd, uint8_t *to, size_t size, uint64_t offset, const char *path, clv_error *err)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FAIL(err, CLV_ERR_IO, "cannot read \"%s\": %s", path, strerror(errno));
        if (n == 0)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\" ends at byte %llu, %zu more were expected", path,
                        (unsigned long long)(offset + done), size - done);
        done += (size_t)n;
    }
    return CLV_OK;
}

static clv_status open_regular(int *fd, struct stat *info, const char *path, clv_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return FAIL(err, CLV_ERR_IO, "cannot open \"%s\": %s", path, strerror(errno));
    if (fstat(*fd, info) != 0 || !S_ISREG(info->st_mode)) {
        (void)close(*fd);
        return FAIL(err, CLV_ERR_IO, "\"%s\" is not a regular file", path);
    }
    return CLV_OK;
}

clv_status clvi_file_unnamed(int *fd, clv_error *err)
{
    char path[1024];
    const char *folder = getenv("TMPDIR");
    const int n = snprintf(path, sizeof path, "%s/cleave-XXXXXX", folder && *folder ? folder : "/tmp");
    *fd = n > 0 && (size_t)n < sizeof path ? mkstemp(path) : -1;
    if (*fd < 0)
        return FAIL(err, CLV_ERR_IO, "cannot create a temporary file \"%s\": %s", path, strerror(errno));
    (void)unlink(path); /* lives as long as fd */
    return CLV_OK;
}

clv_status clvi_file_read(clvi_bytes *out, const char *path, clv_error *err)
{
    int fd;
    struct stat info;
    *out = (clvi_bytes){0};
    TRY(open_regular(&fd, &info, path, err));
    const size_t size = (size_t)info.st_size;
    uint8_t *data = clvi_alloc(size);
    clv_status st =
        data ? read_fully(fd, data, size, 0, path, err) : FAIL(err, CLV_ERR_NOMEM, "%zu bytes of \"%s\"", size, path);
    (void)close(fd);
    if (st == CLV_OK) {
        *out = (clvi_bytes){data, size};
        data = NULL;
    }
    clvi_free(data);
    return st;
}

clv_status clvi_file_read_at(void *out, size_t size, uint64_t offset, const char *path, clv_error *err)
{
    int fd;
    struct stat info;
    TRY(open_regular(&fd, &info, path, err));
    clv_status st;
    if (offset > (uint64_t)info.st_size || size > (uint64_t)info.st_size - offset)
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\" has %llu bytes, %zu at offset %llu were expected", path,
                  (unsigned long long)info.st_size, size, (unsigned long long)offset);
    else
        st = read_fully(fd, out, size, offset, path, err);
    (void)close(fd);
    return st;
}

clv_status clvi_file_size(uint64_t *out, const char *path, clv_error *err)
{
    int fd;
    struct stat info;
    TRY(open_regular(&fd, &info, path, err));
    (void)close(fd);
    *out = (uint64_t)info.st_size;
    return CLV_OK;
}

struct clvi_file_writer {
    int fd;
    char *path, *temporary; /* temporary is NULL when written directly or once committed */
};

clv_status clvi_file_create(clvi_file_writer **out, const char *path, clv_error *err)
{
    struct stat info;
    *out = NULL;
    clvi_file_writer *w = clvi_calloc(1, sizeof *w);
    if (!w)
        return FAIL(err, CLV_ERR_NOMEM, "writer of \"%s\"", path);
    w->fd = -1;
    clv_status st = CLV_OK;
    const size_t size = strlen(path) + sizeof ".tmp.XXXXXX";
    w->path = clvi_strdup(path);
    if (!w->path) {
        st = FAIL(err, CLV_ERR_NOMEM, "writer of \"%s\"", path);
        goto out;
    }
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        if (S_ISDIR(info.st_mode)) {
            st = FAIL(err, CLV_ERR_IO, "\"%s\" is a folder, a file name was expected", path);
            goto out;
        }
        w->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        w->temporary = clvi_alloc(size);
        if (!w->temporary) {
            st = FAIL(err, CLV_ERR_NOMEM, "writer of \"%s\"", path);
            goto out;
        }
        (void)snprintf(w->temporary, size, "%s.tmp.XXXXXX", path);
        w->fd = mkstemp(w->temporary);
        if (w->fd >= 0) {
            const mode_t mask = umask(0);
            (void)umask(mask);
            (void)fchmod(w->fd, 0666 & ~mask);
        } else {
            const int reason = errno;
            clvi_free(w->temporary);
            w->temporary = NULL;
            errno = reason;
        }
    }
    if (w->fd < 0) {
        st = FAIL(err, CLV_ERR_IO, "cannot create \"%s\": %s", path, strerror(errno));
        goto out;
    }
    *out = w;
    w = NULL;
out:
    clvi_file_free(w);
    return st;
}

clv_status clvi_file_write(clvi_file_writer *w, const void *bytes, size_t size, clv_error *err)
{
    const char *from = bytes;
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(w->fd, from + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FAIL(err, CLV_ERR_IO, "cannot write \"%s\": %s", w->path, strerror(n < 0 ? errno : ENOSPC));
        done += (size_t)n;
    }
    return CLV_OK;
}

static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    if (n >= sizeof folder)
        return;
    if (n)
        memcpy(folder, path, n);
    else
        folder[0] = '.';
    folder[n ? n : 1] = '\0';
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

clv_status clvi_file_commit(clvi_file_writer *w, clv_error *err)
{
    if (w->temporary && fsync(w->fd) != 0)
        return FAIL(err, CLV_ERR_IO, "cannot flush \"%s\": %s", w->path, strerror(errno));
    const int closed = close(w->fd);
    w->fd = -1;
    if (closed != 0)
        return FAIL(err, CLV_ERR_IO, "cannot close \"%s\": %s", w->path, strerror(errno));
    if (w->temporary) {
        if (rename(w->temporary, w->path) != 0)
            return FAIL(err, CLV_ERR_IO, "cannot rename onto \"%s\": %s", w->path, strerror(errno));
        clvi_free(w->temporary);
        w->temporary = NULL;
        sync_folder(w->path);
    }
    return CLV_OK;
}

void clvi_file_free(clvi_file_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        (void)close(w->fd);
    if (w->temporary)
        (void)unlink(w->temporary);
    clvi_free(w->temporary);
    clvi_free(w->path);
    clvi_free(w);
}

clv_status clvi_file_replace(const char *path, const void *bytes, size_t size, clv_error *err)
{
    clvi_file_writer *w = NULL;
    TRY(clvi_file_create(&w, path, err));
    clv_status st = clvi_file_write(w, bytes, size, err);
    if (st == CLV_OK)
        st = clvi_file_commit(w, err);
    clvi_file_free(w);
    return st;
}
