/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/stats_file.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/size.h"

enum { KIND_HEAD = 1, KIND_SITE = 2, KIND_CANDIDATES = 3, KIND_END = 4 };

static const clvi_records_format format = {"CLVSTATS", 2};

/* --- what belongs together -----------------------------------------------------------------------------------------
 */

static uint64_t hash_value(uint64_t h, const clvi_graph *graph, int32_t id)
{
    const clv_tensor *t = id == CLVI_NONE ? NULL : graph->values[id].constant;
    h = clvi_hash(h, &id, sizeof id);
    if (!t)
        return h;
    const int64_t count = clv_tensor_count(t);
    h = clvi_hash(h, t->dims, (size_t)t->rank * sizeof *t->dims);
    return count > 0 ? clvi_hash(h, t->data, (size_t)count * clv_dtype_size(t->dtype)) : h;
}

static uint64_t hash_attribute(uint64_t h, const clvi_attr *a)
{
    h = clvi_hash_text(h, a->name);
    h = clvi_hash(h, &a->i, sizeof a->i);
    h = clvi_hash(h, &a->f, sizeof a->f);
    h = clvi_hash(h, a->s.data, a->s.size);
    if (a->ints)
        h = clvi_hash(h, a->ints, a->count * sizeof *a->ints);
    return a->floats ? clvi_hash(h, a->floats, a->count * sizeof *a->floats) : h;
}

uint64_t clvi_graph_hash(const clvi_graph *graph)
{
    uint64_t h = CLVI_HASH_START;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        h = clvi_hash_text(clvi_hash_text(h, node->domain), node->op_type);
        for (size_t j = 0; j < node->n_attr; j++)
            h = hash_attribute(h, &node->attr[j]);
        for (size_t j = 0; j < node->n_in; j++)
            h = hash_value(h, graph, node->in[j]);
        h = clvi_hash(h, node->out, node->n_out * sizeof *node->out);
    }
    return clvi_hash(h, graph->outputs, graph->n_outputs * sizeof *graph->outputs);
}

clv_status clvi_stats_head_of(clvi_stats_head *out, const clvi_graph *folded, const clvi_sites *sites,
                              const clvi_calibration *c, clv_error *err)
{
    *out = (clvi_stats_head){.model = clvi_graph_hash(folded),
                             .seed = c->seed,
                             .samples = c->samples,
                             .sites = (int64_t)sites->n,
                             .n_pieces = 1};
    memcpy(out->input, c->input.dims, sizeof out->input);
    if (c->preprocess)
        TRY(clv_preprocess_format(c->preprocess, out->preprocess, sizeof out->preprocess, err));
    uint64_t set = clvi_hash_text(CLVI_HASH_START, out->preprocess);
    for (int64_t i = 0; i < c->images; i++)
        set = clvi_hash_text(set, clv_dataset_name(c->data, i));
    out->piece[0] = (clvi_stats_piece){set, c->first, c->end, c->images};
    return CLV_OK;
}

/* --- to bytes and back ---------------------------------------------------------------------------------------------
 */

static void pack_head(clvi_packer *p, const clvi_stats_head *h)
{
    clvi_pack_u64(p, h->model);
    clvi_pack_u64(p, h->seed);
    clvi_pack_i64(p, h->samples);
    clvi_pack_i64(p, h->sites);
    clvi_pack(p, h->input, sizeof h->input);
    clvi_pack_text(p, h->preprocess);
    clvi_pack_u64(p, h->n_pieces);
    for (size_t i = 0; i < h->n_pieces; i++) {
        clvi_pack_u64(p, h->piece[i].set);
        clvi_pack_i64(p, h->piece[i].first);
        clvi_pack_i64(p, h->piece[i].end);
        clvi_pack_i64(p, h->piece[i].images);
    }
}

static bool unpack_head(clvi_unpacker *u, clvi_stats_head *h)
{
    h->model = clvi_unpack_u64(u);
    h->seed = clvi_unpack_u64(u);
    h->samples = clvi_unpack_i64(u);
    h->sites = clvi_unpack_i64(u);
    clvi_unpack(u, h->input, sizeof h->input);
    clvi_unpack_text(u, h->preprocess, sizeof h->preprocess);
    h->n_pieces = (size_t)clvi_unpack_u64(u);
    if (u->failed || h->n_pieces < 1 || h->n_pieces > CLVI_STATS_PIECES || h->samples < 1)
        return false;
    for (size_t i = 0; i < h->n_pieces; i++) {
        h->piece[i].set = clvi_unpack_u64(u);
        h->piece[i].first = clvi_unpack_i64(u);
        h->piece[i].end = clvi_unpack_i64(u);
        h->piece[i].images = clvi_unpack_i64(u);
    }
    return !u->failed;
}

/* The arrays of one group, in the file's order. Lower triangles alone, row by row. */
static void pack_moments(clvi_packer *p, const clvi_moments *m)
{
    clvi_pack_u64(p, m->q);
    clvi_pack_u64(p, m->n);
    clvi_pack_double(p, m->count);
    clvi_pack(p, m->shift_x, m->q * sizeof(double));
    clvi_pack(p, m->shift_t, m->n * sizeof(double));
    clvi_pack(p, m->sum_x, m->q * sizeof(double));
    clvi_pack(p, m->sum_t, m->n * sizeof(double));
    for (size_t i = 0; i < m->q; i++)
        clvi_pack(p, m->xx + i * m->q, (i + 1) * sizeof(double));
    clvi_pack(p, m->tx, m->n * m->q * sizeof(double));
    for (size_t i = 0; i < m->n; i++)
        clvi_pack(p, m->tt_full + i * m->n, (i + 1) * sizeof(double));
}

/* Bytes behind q and n, or 0 when that is no size. */
static size_t moments_bytes(uint64_t q, uint64_t n)
{
    if (q < 1 || n < 1 || q > 1u << 24 || n > 1u << 24)
        return 0;
    return (size_t)(sizeof(double) * (1 + 2 * (q + n) + q * (q + 1) / 2 + n * q + n * (n + 1) / 2));
}

static clv_status unpack_moments(clvi_moments *m, clvi_unpacker *u, clv_error *err)
{
    const uint64_t q = clvi_unpack_u64(u), n = clvi_unpack_u64(u);
    const size_t bytes = moments_bytes(q, n);
    if (u->failed || bytes == 0 || bytes > u->left)
        return FAIL(err, CLV_ERR_FORMAT, "moments of %llu inputs and %llu targets in %zu bytes", (unsigned long long)q,
                    (unsigned long long)n, u->left);
    TRY(clvi_moments_create(m, (size_t)q, (size_t)n, err));
    m->count = clvi_unpack_double(u);
    clvi_unpack(u, m->shift_x, m->q * sizeof(double));
    clvi_unpack(u, m->shift_t, m->n * sizeof(double));
    clvi_unpack(u, m->sum_x, m->q * sizeof(double));
    clvi_unpack(u, m->sum_t, m->n * sizeof(double));
    for (size_t i = 0; i < m->q; i++)
        clvi_unpack(u, m->xx + i * m->q, (i + 1) * sizeof(double));
    clvi_unpack(u, m->tx, m->n * m->q * sizeof(double));
    for (size_t i = 0; i < m->n; i++) {
        clvi_unpack(u, m->tt_full + i * m->n, (i + 1) * sizeof(double));
        m->tt[i] = m->tt_full[i * m->n + i];
    }
    if (m->count >= 1 && isfinite(m->count))
        return CLV_OK;
    const double count = m->count;
    clvi_moments_free(m);
    return FAIL(err, CLV_ERR_FORMAT, "moments of %g samples", count);
}

/* --- writing -------------------------------------------------------------------------------------------------------
 */

struct clvi_stats_writer {
    clvi_file_writer *file;
};

/* One record; payload is freed. */
static clv_status put(clvi_stats_writer *w, uint64_t kind, clvi_packer *payload, clv_error *err)
{
    clvi_packer framed = {0};
    if (kind == KIND_HEAD)
        clvi_records_pack_head(&framed, &format);
    clvi_records_pack(&framed, kind, payload);
    clvi_packer_free(payload);
    const clv_status st = framed.failed ? FAIL(err, CLV_ERR_NOMEM, "a record of the statistics")
                                        : clvi_file_write(w->file, framed.data, framed.size, err);
    clvi_packer_free(&framed);
    return st;
}

clv_status clvi_stats_create(clvi_stats_writer **out, const char *path, const clvi_stats_head *head, clv_error *err)
{
    clvi_packer p = {0};
    clvi_stats_writer *w = clvi_calloc(1, sizeof *w);
    *out = NULL;
    clv_status st = w ? clvi_file_create(&w->file, path, err) : FAIL(err, CLV_ERR_NOMEM, "writer of \"%s\"", path);
    if (st == CLV_OK) {
        pack_head(&p, head);
        st = put(w, KIND_HEAD, &p, err);
    }
    if (st == CLV_OK)
        *out = w;
    else
        clvi_stats_writer_free(w);
    return st;
}

clv_status clvi_stats_add(clvi_stats_writer *w, size_t site, const char *name, const clvi_site_stats *stats,
                          clv_error *err)
{
    clvi_packer p = {0};
    clvi_pack_u64(&p, site);
    clvi_pack_text(&p, name);
    clvi_pack_double(&p, stats->share);
    clvi_averaged_pack(&p, &stats->averaged);
    clvi_pack_u64(&p, stats->groups);
    for (size_t g = 0; g < stats->groups; g++)
        pack_moments(&p, &stats->moments[g]);
    return put(w, KIND_SITE, &p, err);
}

clv_status clvi_stats_add_candidates(clvi_stats_writer *w, uint64_t explored, const clvi_candidates *lists, size_t n,
                                     clv_error *err)
{
    clvi_packer p = {0};
    clvi_pack_u64(&p, explored);
    clvi_pack_u64(&p, n);
    for (size_t i = 0; i < n; i++)
        clvi_candidates_pack(&p, &lists[i]);
    return put(w, KIND_CANDIDATES, &p, err);
}

clv_status clvi_stats_commit(clvi_stats_writer *w, clv_error *err)
{
    clvi_packer p = {0};
    TRY(put(w, KIND_END, &p, err));
    return clvi_file_commit(w->file, err);
}

void clvi_stats_writer_free(clvi_stats_writer *w)
{
    if (!w)
        return;
    clvi_file_free(w->file);
    clvi_free(w);
}

/* --- reading -------------------------------------------------------------------------------------------------------
 */

clv_status clvi_stats_open(clvi_stats *out, const char *path, clv_error *err)
{
    clvi_bytes bytes = {0};
    *out = (clvi_stats){0};
    TRY(clvi_records_open(&out->records, path, &format, err));
    const clvi_records *r = &out->records;
    clv_status st = CLV_OK;
    if (r->cut_off || r->n < 2 || r->record[0].kind != KIND_HEAD || r->record[r->n - 1].kind != KIND_END)
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\" is cut off or not a file of statistics: %zu whole records, %llu bytes",
                  path, r->n, (unsigned long long)r->end);
    for (size_t i = 0; st == CLV_OK && i < r->n; i++)
        if (r->record[i].kind < KIND_HEAD || r->record[i].kind > KIND_END)
            st = FAIL(err, CLV_ERR_FORMAT, "\"%s\": record %zu is of unknown kind %llu", path, i,
                      (unsigned long long)r->record[i].kind);
    if (st == CLV_OK)
        st = clvi_records_read(&bytes, r, r->n - 1, err); /* the end, for its hash */
    clvi_free(bytes.data);
    bytes = (clvi_bytes){0};
    if (st == CLV_OK)
        st = clvi_records_read(&bytes, r, 0, err);
    if (st == CLV_OK && !(out->head = clvi_calloc(1, sizeof *out->head)))
        st = FAIL(err, CLV_ERR_NOMEM, "statistics");
    clvi_unpacker u = {bytes.data, bytes.size, false};
    if (st == CLV_OK && !unpack_head(&u, out->head))
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\": the head makes no sense", path);
    clvi_free(bytes.data);
    if (st != CLV_OK)
        clvi_stats_close(out);
    return st;
}

void clvi_stats_close(clvi_stats *s)
{
    clvi_records_close(&s->records);
    clvi_free(s->head);
    *s = (clvi_stats){0};
}

static void free_site(clvi_site_stats *s)
{
    for (size_t g = 0; s->moments && g < s->groups; g++)
        clvi_moments_free(&s->moments[g]);
    clvi_free(s->moments);
    clvi_averaged_free(&s->averaged);
    *s = (clvi_site_stats){0};
}

/* A site's record, whatever its shape. Gives *out (free_site). */
static clv_status read_site(clvi_site_stats *out, char name[256], const clvi_stats *s, size_t record, clv_error *err)
{
    clvi_bytes bytes;
    *out = (clvi_site_stats){0};
    TRY(clvi_records_read(&bytes, &s->records, record, err));
    clvi_unpacker u = {bytes.data, bytes.size, false};
    (void)clvi_unpack_u64(&u);
    clvi_unpack_text(&u, name, 256);
    out->share = clvi_unpack_double(&u);
    const bool averaged = clvi_averaged_unpack(&u, &out->averaged);
    const uint64_t n = clvi_unpack_u64(&u);
    clv_status st = CLV_OK;
    if (u.failed || !averaged || n < 1 || n > u.left || !(out->share > 0) || out->share > 1)
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\": record %zu holds %llu groups in %zu bytes, a share of %g",
                  s->records.path, record, (unsigned long long)n, u.left, out->share);
    if (st == CLV_OK && !(out->moments = clvi_calloc((size_t)n, sizeof *out->moments)))
        st = FAIL(err, CLV_ERR_NOMEM, "statistics of %llu groups", (unsigned long long)n);
    out->groups = st == CLV_OK ? (size_t)n : 0;
    for (size_t g = 0; st == CLV_OK && g < n; g++)
        st = unpack_moments(&out->moments[g], &u, err);
    clvi_free(bytes.data);
    if (st != CLV_OK)
        free_site(out);
    return st;
}

/* The record of a site; n when there is none. The first 8 bytes of its payload are the site's index. */
static clv_status find_site(size_t *record, const clvi_stats *s, size_t site, clv_error *err)
{
    const clvi_records *r = &s->records;
    for (*record = 0; *record < r->n; (*record)++) {
        uint64_t index;
        if (r->record[*record].kind != KIND_SITE || r->record[*record].size < sizeof index)
            continue;
        TRY(clvi_file_read_at(&index, sizeof index, r->record[*record].offset, r->path, err));
        if (index == site)
            break;
    }
    return CLV_OK;
}

clv_status clvi_stats_read(clvi_site_stats *out, const clvi_stats *s, size_t site, const clvi_site *shape,
                           clv_error *err)
{
    const clvi_conv_shape *c = &shape->shape;
    char name[256];
    size_t record;
    *out = (clvi_site_stats){0};
    TRY(find_site(&record, s, site, err));
    if (record == s->records.n)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has no statistics of convolution \"%s\"", s->records.path,
                    shape->name);
    TRY(read_site(out, name, s, record, err));
    const clvi_moments *m = out->moments;
    if (out->groups == (size_t)c->groups && m[0].q == (size_t)(c->c / c->groups * c->kh * c->kw) &&
        m[0].n == (size_t)(c->o / c->groups) && (out->averaged.o == 0 || out->averaged.o == (size_t)c->o))
        return CLV_OK;
    const clv_status st = FAIL(err, CLV_ERR_FORMAT, "\"%s\": statistics of \"%s\" are %zu groups of [%zu, %zu]",
                               s->records.path, name, out->groups, m[0].n, m[0].q);
    free_site(out);
    return st;
}

clv_status clvi_stats_read_candidates(bool *found, clvi_candidates *lists, size_t n, const clvi_stats *s,
                                      uint64_t explored, clv_error *err)
{
    *found = false;
    for (size_t i = 0; i < s->records.n && !*found; i++) {
        clvi_bytes bytes;
        if (s->records.record[i].kind != KIND_CANDIDATES)
            continue;
        TRY(clvi_records_read(&bytes, &s->records, i, err));
        clvi_unpacker u = {bytes.data, bytes.size, false};
        bool sound = true;
        *found = clvi_unpack_u64(&u) == explored && clvi_unpack_u64(&u) == n;
        for (size_t k = 0; *found && sound && k < n; k++)
            sound = clvi_candidates_unpack(&u, &lists[k]);
        clvi_free(bytes.data);
        if (!sound)
            return FAIL(err, CLV_ERR_FORMAT, "\"%s\": the candidates in record %zu make no sense", s->records.path, i);
    }
    return CLV_OK;
}

clv_status clvi_stats_describe(clvi_item *table, const clvi_stats *s, size_t i, clv_error *err)
{
    char name[256];
    clvi_site_stats site;
    if (s->records.record[i].kind != KIND_SITE) {
        clvi_bytes unread; /* for its hash */
        TRY(clvi_records_read(&unread, &s->records, i, err));
        clvi_free(unread.data);
        return CLV_OK;
    }
    TRY(read_site(&site, name, s, i, err));
    clvi_item *row = clvi_report_row(table);
    clvi_report_text(row, "layer", name);
    clvi_report_int(row, "groups", (int64_t)site.groups);
    clvi_report_int(row, "inputs", (int64_t)site.moments[0].q);
    clvi_report_int(row, "outputs", (int64_t)site.moments[0].n);
    clvi_report_int(row, "samples", (int64_t)site.moments[0].count);
    clvi_report_real(row, "share_of_sum", site.share, 3);
    free_site(&site);
    return CLV_OK;
}

/* --- merging -------------------------------------------------------------------------------------------------------
 */

static clv_status merge_heads(clvi_stats_head *to, const clvi_stats *s, const char *first, clv_error *err)
{
    const clvi_stats_head *h = s->head;
    const char *path = s->records.path;
    if (h->model != to->model || h->sites != to->sites)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" and \"%s\" belong to different models", first, path);
    if (h->seed != to->seed || h->samples != to->samples || strcmp(h->preprocess, to->preprocess) != 0 ||
        memcmp(h->input, to->input, sizeof h->input) != 0)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" and \"%s\" were collected with different seeds, samples or preprocessing",
                    first, path);
    for (size_t i = 0; i < h->n_pieces; i++) {
        const clvi_stats_piece *p = &h->piece[i];
        for (size_t k = 0; k < to->n_pieces; k++)
            if (to->piece[k].set == p->set && p->first < to->piece[k].end && to->piece[k].first < p->end)
                return FAIL(err, CLV_ERR_ARG, "images %lld to %lld of \"%s\" are in another of the files, too",
                            (long long)p->first, (long long)p->end, path);
        if (to->n_pieces == CLVI_STATS_PIECES)
            return FAIL(err, CLV_ERR_ARG, "more than %d sets of images", CLVI_STATS_PIECES);
        to->piece[to->n_pieces++] = *p;
    }
    return CLV_OK;
}

/* Add the same site of another file. The share of the sum is averaged, weighted by samples. */
static clv_status add_site(clvi_site_stats *sum, const clvi_stats *file, size_t site, const char *name, clv_error *err)
{
    char other_name[256];
    size_t at;
    clvi_site_stats other;
    TRY(find_site(&at, file, site, err));
    if (at == file->records.n)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" has no statistics of \"%s\"", file->records.path, name);
    TRY(read_site(&other, other_name, file, at, err));
    clv_status st = CLV_OK;
    if (sum->groups != other.groups || sum->averaged.o != other.averaged.o ||
        sum->averaged.sizes != other.averaged.sizes)
        st = FAIL(err, CLV_ERR_ARG, "\"%s\" has %zu and %zu groups, %zu and %zu means", name, sum->groups, other.groups,
                  sum->averaged.o, other.averaged.o);
    else
        clvi_averaged_merge(&sum->averaged, &other.averaged);
    const double a = sum->moments[0].count, b = other.moments[0].count;
    sum->share = (a * sum->share + b * other.share) / (a + b);
    for (size_t g = 0; st == CLV_OK && g < sum->groups; g++)
        st = clvi_moments_merge(&sum->moments[g], &other.moments[g], err);
    free_site(&other);
    return st;
}

/* Site number `record` of the first file plus the same site of the others. */
static clv_status merge_site(clvi_stats_writer *w, const clvi_stats *files, size_t n, size_t record, clv_error *err)
{
    char name[256];
    uint64_t site;
    clvi_site_stats sum;
    const clvi_records *r = &files[0].records;
    TRY(clvi_file_read_at(&site, sizeof site, r->record[record].offset, r->path, err));
    TRY(read_site(&sum, name, &files[0], record, err));
    clv_status st = CLV_OK;
    for (size_t i = 1; st == CLV_OK && i < n; i++)
        st = add_site(&sum, &files[i], (size_t)site, name, err);
    if (st == CLV_OK)
        st = clvi_stats_add(w, (size_t)site, name, &sum, err);
    free_site(&sum);
    return st;
}

clv_status clvi_stats_merge(const char *out, const char *const *paths, size_t n, clv_error *err)
{
    clvi_stats_writer *w = NULL;
    clvi_stats_head *head = clvi_calloc(1, sizeof *head);
    clvi_stats *files = clvi_calloc(n, sizeof *files);
    clv_status st = head && files ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu files", n);
    for (size_t i = 0; st == CLV_OK && i < n; i++) {
        st = clvi_stats_open(&files[i], paths[i], err);
        if (st == CLV_OK && i > 0)
            st = merge_heads(head, &files[i], paths[0], err);
        else if (st == CLV_OK)
            *head = *files[0].head;
    }
    if (st == CLV_OK)
        st = clvi_stats_create(&w, out, head, err);
    for (size_t i = 0; st == CLV_OK && i < files[0].records.n; i++)
        if (files[0].records.record[i].kind == KIND_SITE && files[0].records.record[i].size >= sizeof(uint64_t))
            st = merge_site(w, files, n, i, err);
    if (st == CLV_OK)
        st = clvi_stats_commit(w, err);
    clvi_stats_writer_free(w);
    for (size_t i = 0; files && i < n; i++)
        clvi_stats_close(&files[i]);
    clvi_free(files);
    clvi_free(head);
    return st;
}
