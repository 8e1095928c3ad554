/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

enum { KIND_RUN = 1, KIND_CANDIDATES = 2, KIND_FIT = 3, KIND_CHOICE = 4 };

static const clvi_records_format format = {"CLVRUN  ", 2};

/* --- the file ------------------------------------------------------------------------------------------------------
 */

static clv_status append(clvi_journal *j, uint64_t kind, clvi_packer *payload, clv_error *err)
{
    clvi_packer framed = {0};
    clv_status st = CLV_OK;
    if (kind == KIND_RUN)
        clvi_records_pack_head(&framed, &format);
    clvi_records_pack(&framed, kind, payload);
    clvi_packer_free(payload);
    if (framed.failed)
        st = FAIL(err, CLV_ERR_NOMEM, "a record of \"%s\"", j->path);
    for (size_t done = 0; st == CLV_OK && done < framed.size;) {
        const ssize_t n = write(j->fd, framed.data + done, framed.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            st = FAIL(err, CLV_ERR_IO, "cannot write \"%s\": %s", j->path, strerror(n < 0 ? errno : ENOSPC));
        else
            done += (size_t)n;
    }
    if (st == CLV_OK && fsync(j->fd) != 0)
        st = FAIL(err, CLV_ERR_IO, "cannot flush \"%s\": %s", j->path, strerror(errno));
    clvi_packer_free(&framed);
    return st;
}

/* The file is this run's: its first record says so. */
static clv_status check_run(const clvi_journal *j, uint64_t run, clv_error *err)
{
    clvi_bytes bytes;
    if (j->records.n == 0 || j->records.record[0].kind != KIND_RUN)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" does not start with a run", j->path);
    TRY(clvi_records_read(&bytes, &j->records, 0, err));
    clvi_unpacker u = {bytes.data, bytes.size, false};
    const bool same = clvi_unpack_u64(&u) == run && !u.failed;
    clvi_free(bytes.data);
    return same ? CLV_OK
                : FAIL(err, CLV_ERR_ARG,
                       "\"%s\" belongs to another run: the model, the images or an option has changed", j->path);
}

static clv_status start(clvi_journal *j, uint64_t run, clv_error *err)
{
    clvi_packer p = {0};
    j->fd = open(j->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (j->fd < 0)
        return FAIL(err, CLV_ERR_IO, "cannot create \"%s\": %s", j->path, strerror(errno));
    clvi_pack_u64(&p, run);
    return append(j, KIND_RUN, &p, err);
}

/* Behind the last whole record. */
static clv_status go_on(clvi_journal *j, uint64_t run, clv_error *err)
{
    TRY(clvi_records_open(&j->records, j->path, &format, err));
    TRY(check_run(j, run, err));
    j->fd = open(j->path, O_WRONLY | O_CLOEXEC);
    if (j->fd < 0 || ftruncate(j->fd, (off_t)j->records.end) != 0 || lseek(j->fd, 0, SEEK_END) < 0)
        return FAIL(err, CLV_ERR_IO, "cannot go on writing \"%s\": %s", j->path, strerror(errno));
    return CLV_OK;
}

clv_status clvi_journal_open(clvi_journal *out, const char *path, uint64_t run, bool resume, clv_error *err)
{
    *out = (clvi_journal){.fd = -1, .path = path};
    if (!path)
        return CLV_OK;
    uint64_t bytes = 0;
    const bool there = access(path, F_OK) == 0 && clvi_file_size(&bytes, path, NULL) == CLV_OK;
    /* killed before the first record was whole: nothing is lost by starting anew */
    const clv_status st =
        resume && there && bytes > CLVI_RECORDS_HEAD + 24 ? go_on(out, run, err) : start(out, run, err);
    if (st != CLV_OK)
        clvi_journal_close(out);
    return st;
}

void clvi_journal_close(clvi_journal *j)
{
    if (j->path && j->fd >= 0)
        (void)close(j->fd);
    clvi_records_close(&j->records);
    *j = (clvi_journal){.fd = -1};
}

/* --- candidates ----------------------------------------------------------------------------------------------------
 */

clv_status clvi_journal_add_candidates(clvi_journal *j, const clvi_candidates *lists, size_t n, clv_error *err)
{
    clvi_packer p = {0};
    if (j->fd < 0)
        return CLV_OK;
    clvi_pack_u64(&p, n);
    for (size_t i = 0; i < n; i++)
        clvi_candidates_pack(&p, &lists[i]);
    return append(j, KIND_CANDIDATES, &p, err);
}

clv_status clvi_journal_candidates(bool *found, clvi_candidates *lists, size_t n, const clvi_journal *j, clv_error *err)
{
    *found = false;
    for (size_t i = 0; i < j->records.n && !*found; i++) {
        clvi_bytes bytes;
        if (j->records.record[i].kind != KIND_CANDIDATES)
            continue;
        TRY(clvi_records_read(&bytes, &j->records, i, err));
        clvi_unpacker u = {bytes.data, bytes.size, false};
        bool sound = clvi_unpack_u64(&u) == n;
        for (size_t k = 0; sound && k < n; k++)
            sound = clvi_candidates_unpack(&u, &lists[k]);
        clvi_free(bytes.data);
        if (!sound)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the candidates in record %zu make no sense", j->path, i);
        *found = true;
    }
    return CLV_OK;
}

/* --- the choice ----------------------------------------------------------------------------------------------------
 */

clv_status clvi_journal_add_choice(clvi_journal *j, const size_t *chosen, const clvi_latency_figures *figures, size_t n,
                                   clv_error *err)
{
    clvi_packer p = {0};
    if (j->fd < 0)
        return CLV_OK;
    clvi_pack_u64(&p, n);
    for (size_t i = 0; i < n; i++)
        clvi_pack_u64(&p, chosen[i]);
    clvi_pack(&p, figures, sizeof *figures); /* doubles and int64 alone: no padding */
    return append(j, KIND_CHOICE, &p, err);
}

clv_status clvi_journal_choice(bool *found, size_t *chosen, clvi_latency_figures *figures, const clvi_candidates *lists,
                               size_t n, const clvi_journal *j, clv_error *err)
{
    *found = false;
    for (size_t i = 0; i < j->records.n && !*found; i++) {
        clvi_bytes bytes;
        if (j->records.record[i].kind != KIND_CHOICE)
            continue;
        TRY(clvi_records_read(&bytes, &j->records, i, err));
        clvi_unpacker u = {bytes.data, bytes.size, false};
        bool sound = clvi_unpack_u64(&u) == n;
        for (size_t k = 0; sound && k < n; k++) {
            chosen[k] = (size_t)clvi_unpack_u64(&u);
            sound = lists[k].n == 0 || chosen[k] < lists[k].n;
        }
        clvi_unpack(&u, figures, sizeof *figures);
        sound = sound && !u.failed;
        clvi_free(bytes.data);
        if (!sound)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the choice in record %zu makes no sense", j->path, i);
        *found = true;
    }
    return CLV_OK;
}

/* --- fits ----------------------------------------------------------------------------------------------------------
 */

static size_t link_weights(const clvi_conv *v)
{
    return v->groups > 0 ? (size_t)(v->o * (v->c / v->groups) * v->kh * v->kw) : 0;
}

static void pack_link(clvi_packer *p, const clvi_conv *v, const int32_t *gather)
{
    const int64_t numbers[] = {
        v->o,  v->c,  v->groups,        v->kh,           v->kw,         v->sh, v->sw, v->dh, v->dw, v->pt, v->pl,
        v->pb, v->pr, (int64_t)v->rank, v->bias != NULL, gather != NULL};
    clvi_pack(p, numbers, sizeof numbers);
    clvi_pack(p, v->w, link_weights(v) * sizeof(float));
    if (v->bias)
        clvi_pack(p, v->bias, (size_t)v->o * sizeof(float));
    if (gather)
        clvi_pack(p, gather, (size_t)v->c * sizeof *gather);
}

clv_status clvi_journal_add_fit(clvi_journal *j, size_t site, const clvi_fit *fit, clv_error *err)
{
    clvi_packer p = {0};
    if (j->fd < 0)
        return CLV_OK;
    clvi_pack_u64(&p, site);
    clvi_pack_double(&p, fit->error);
    clvi_pack_i64(&p, fit->macs_per_pixel);
    clvi_pack_i64(&p, fit->iterations);
    clvi_pack_i64(&p, fit->chain.average);
    clvi_pack_double(&p, fit->chain.gain);
    clvi_pack_u64(&p, fit->chain.n);
    for (size_t i = 0; i < fit->chain.n; i++)
        pack_link(&p, &fit->chain.link[i], fit->chain.gather[i]);
    return append(j, KIND_FIT, &p, err);
}

static void *unpack_array(clvi_unpacker *u, size_t n, size_t size, clvi_arena *arena)
{
    if (u->failed || n > u->left / size)
        return NULL;
    void *to = clvi_arena_calloc(arena, n, size);
    if (to)
        clvi_unpack(u, to, n * size);
    return to;
}

/* false: malformed, or memory is short. */
static bool unpack_link(clvi_unpacker *u, clvi_conv *v, const int32_t **gather, clvi_arena *arena)
{
    int64_t n[16], weights;
    clvi_unpack(u, n, sizeof n);
    *v = (clvi_conv){.o = n[0], .c = n[1], .groups = n[2], .kh = n[3], .kw = n[4], .sh = n[5], .sw = n[6]};
    v->dh = n[7];
    v->dw = n[8];
    v->pt = n[9];
    v->pl = n[10];
    v->pb = n[11];
    v->pr = n[12];
    v->rank = (int)n[13];
    if (u->failed || v->o < 1 || v->c < 0 || v->groups < 0 || v->kh < 1 || v->kw < 1 || (v->groups == 0 && v->c > 0) ||
        !clvi_mul_i64(v->o, v->groups ? v->c / v->groups : 0, &weights) || !clvi_mul_i64(weights, v->kh, &weights) ||
        !clvi_mul_i64(weights, v->kw, &weights))
        return false;
    v->w = unpack_array(u, (size_t)weights, sizeof(float), arena);
    v->bias = n[14] ? unpack_array(u, (size_t)v->o, sizeof(float), arena) : NULL;
    *gather = n[15] ? unpack_array(u, (size_t)v->c, sizeof(int32_t), arena) : NULL;
    return v->w && (v->bias || !n[14]) && (*gather || !n[15]);
}

clv_status clvi_journal_fit(bool *found, clvi_fit *fit, const clvi_journal *j, size_t site, clvi_arena *arena,
                            clv_error *err)
{
    *found = false;
    for (size_t i = 0; i < j->records.n && !*found; i++) {
        clvi_bytes bytes;
        uint64_t index;
        const clvi_record *record = &j->records.record[i];
        if (record->kind != KIND_FIT || record->size < sizeof index)
            continue;
        TRY(clvi_file_read_at(&index, sizeof index, record->offset, j->path, err));
        if (index != site)
            continue;
        TRY(clvi_records_read(&bytes, &j->records, i, err));
        clvi_unpacker u = {bytes.data + sizeof index, bytes.size - sizeof index, false};
        *fit = (clvi_fit){.error = clvi_unpack_double(&u)};
        fit->macs_per_pixel = clvi_unpack_i64(&u);
        fit->iterations = (int)clvi_unpack_i64(&u);
        fit->chain.average = clvi_unpack_i64(&u);
        fit->chain.gain = clvi_unpack_double(&u);
        fit->chain.n = (size_t)clvi_unpack_u64(&u);
        bool sound = fit->chain.n >= 1 && fit->chain.n <= CLVI_MAX_LINKS;
        for (size_t k = 0; sound && k < fit->chain.n; k++)
            sound = unpack_link(&u, &fit->chain.link[k], &fit->chain.gather[k], arena);
        clvi_free(bytes.data);
        if (!sound)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the fit in record %zu makes no sense", j->path, i);
        *found = true;
    }
    return CLV_OK;
}
