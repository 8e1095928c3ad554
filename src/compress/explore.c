/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/explore.h"

#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "compress/probe_chains.h"
#include "compress/stats_file.h"
#include "compress/survey.h"

/* Moments on their way to candidates, to a file, or both. */
typedef struct flow {
    const clvi_explore_task *task;
    clvi_candidates *lists;    /* NULL: not explored */
    clvi_stats_writer *writer; /* NULL: not written */
    double seconds;            /* spent on candidates */
    clvi_probe *probes;        /* NULL: none are made */
    size_t n_probes;
    clvi_arena *arena; /* of their chains */
} flow;

/* Errors become harms to the outputs where there are images to measure it on. */
static clv_status start_probes(flow *f, clv_error *err)
{
    const clvi_explore_task *t = f->task;
    if (!f->lists || !t->calibration)
        return CLV_OK;
    f->probes = clvi_calloc(t->sites->n, CLVI_PROBES_MAX * sizeof *f->probes);
    f->arena = clvi_arena_create();
    return f->probes && f->arena ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "probes of %zu convolutions", t->sites->n);
}

static clv_status run_probes(flow *f, clv_error *err)
{
    const clvi_explore_task *t = f->task;
    const double start = clvi_now();
    if (f->n_probes > 0)
        TRY(clvi_probe_run(f->probes, f->n_probes, f->lists, t->original, t->sites, t->calibration, err));
    f->seconds += clvi_now() - start;
    return CLV_OK;
}

static void free_probes(flow *f)
{
    clvi_free(f->probes);
    clvi_arena_free(f->arena);
    f->probes = NULL;
    f->arena = NULL;
}

/* What candidates depend on beside the moments. */
static uint64_t explored_hash(const clvi_explore_opts *o, bool probed)
{
    size_t n;
    const clvi_form *const *forms = clvi_form_all(&n);
    uint64_t h = clvi_hash(CLVI_HASH_START, &o->round, sizeof o->round);
    h = clvi_hash(h, &probed, sizeof probed);
    for (size_t i = 0; i < n; i++)
        if (!o->form || o->form == forms[i])
            h = clvi_hash_text(h, forms[i]->name);
    h = clvi_hash(h, &o->fit.ridge, sizeof o->fit.ridge);
    h = clvi_hash(h, &o->fit.method, sizeof o->fit.method);
    return clvi_hash(h, &o->fit.seed, sizeof o->fit.seed);
}

static clv_status explore_part(flow *f, const clvi_survey_part *part, clv_error *err)
{
    const clvi_explore_task *t = f->task;
    const double start = clvi_now();
    clvi_covariance **cov = clvi_calloc(part->n, sizeof *cov);
    clvi_candidates **lists = clvi_calloc(part->n, sizeof *lists);
    clv_status st = cov && lists ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu convolutions", part->n);
    for (size_t k = 0; st == CLV_OK && k < part->n; k++) {
        lists[k] = &f->lists[part->site[k]];
        lists[k]->share = part->share[k];
        st = clvi_covariances_of(&cov[k], part->moments[k], (size_t)t->sites->site[part->site[k]].conv.groups, err);
    }
    if (st == CLV_OK)
        st = clvi_candidates_explore(lists, t->sites, part->site, cov, part->n, t->opts, t->context, err);
    for (size_t k = 0; st == CLV_OK && k < part->n; k++)
        clvi_candidates_add_averaged(lists[k], &t->sites->site[part->site[k]], &part->averaged[k], t->opts);
    if (st == CLV_OK && f->probes)
        st = clvi_probe_chains(f->probes, &f->n_probes, lists, t->sites, part->site, cov, part->averaged, part->n,
                               t->opts, f->arena, t->context, err);
    for (size_t k = 0; cov && k < part->n; k++)
        clvi_covariances_free(cov[k], (size_t)t->sites->site[part->site[k]].conv.groups);
    clvi_free(cov);
    clvi_free(lists);
    f->seconds += clvi_now() - start;
    return st;
}

static clv_status take(void *user, const clvi_survey_part *part, clv_error *err)
{
    flow *f = user;
    for (size_t k = 0; f->writer && k < part->n; k++) {
        const clvi_site *site = &f->task->sites->site[part->site[k]];
        const clvi_site_stats stats = {part->moments[k], (size_t)site->conv.groups, part->averaged[k], part->share[k]};
        TRY(clvi_stats_add(f->writer, part->site[k], site->name, &stats, err));
    }
    return f->lists ? explore_part(f, part, err) : CLV_OK;
}

static void replay_clear(clvi_moments **moments, clvi_averaged *averaged, const size_t *site, size_t n,
                         const clvi_sites *sites)
{
    for (size_t k = 0; k < n; k++) {
        clvi_site_moments_free(moments[k], &sites->site[site[k]]);
        clvi_averaged_free(&averaged[k]);
    }
}

/* Sites from the file, as many at a time as fit into the memory. */
static clv_status replay(flow *f, const clvi_stats *stats, clv_error *err)
{
    const clvi_sites *sites = f->task->sites;
    size_t *site = clvi_calloc(sites->n, sizeof *site), n = 0, bytes = 0;
    clvi_moments **moments = clvi_calloc(sites->n, sizeof *moments);
    clvi_averaged *averaged = clvi_calloc(sites->n, sizeof *averaged);
    double *share = clvi_calloc(sites->n, sizeof *share);
    clv_status st =
        site && moments && averaged && share ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu convolutions", sites->n);
    for (size_t i = 0; st == CLV_OK && i <= sites->n; i++) {
        const bool end = i == sites->n;
        if (!end && sites->site[i].kept)
            continue;
        const size_t more = end ? 0 : clvi_site_moments_bytes(&sites->site[i]);
        if (n > 0 && (end || bytes + more > f->task->memory)) {
            st = take(f, &(clvi_survey_part){site, moments, averaged, share, n}, err);
            replay_clear(moments, averaged, site, n, sites);
            n = bytes = 0;
        }
        if (end || st != CLV_OK)
            continue;
        site[n] = i;
        bytes += more;
        clvi_site_stats own;
        st = clvi_stats_read(&own, stats, i, &sites->site[i], err);
        moments[n] = own.moments;
        averaged[n] = own.averaged;
        share[n] = own.share;
        n += st == CLV_OK;
    }
    replay_clear(moments, averaged, site, n, sites);
    clvi_free(site);
    clvi_free(moments);
    clvi_free(averaged);
    clvi_free(share);
    return st;
}

static clv_status check_stats(const clvi_explore_task *t, const clvi_stats *stats, clv_error *err)
{
    const clvi_stats_head *h = stats->head;
    const uint64_t model = clvi_graph_hash(t->original);
    if (h->model != model || h->sites != (int64_t)t->sites->n)
        return FAIL(err, CLV_ERR_ARG, "the statistics in \"%s\" belong to another model", t->stats);
    if (!t->calibration)
        return CLV_OK;
    clvi_stats_head *own = clvi_calloc(1, sizeof *own);
    clv_status st = own ? clvi_stats_head_of(own, t->original, t->sites, t->calibration, err)
                        : FAIL(err, CLV_ERR_NOMEM, "statistics");
    bool same = false;
    for (size_t i = 0; st == CLV_OK && i < h->n_pieces; i++)
        same = same || h->piece[i].set == own->piece[0].set;
    if (st == CLV_OK && !same)
        clvi_log(t->context, CLV_LOG_INFO, "the statistics in \"%s\" were collected on other images than these",
                 t->stats);
    clvi_free(own);
    return st;
}

/* A file with the old moments and the new candidates takes the old one's place. */
static clv_status rewrite(const clvi_explore_task *t, const clvi_stats *stats, const clvi_candidates *lists,
                          clv_error *err)
{
    flow f = {.task = t};
    clv_status st = clvi_stats_create(&f.writer, t->stats, stats->head, err);
    if (st == CLV_OK)
        st = replay(&f, stats, err);
    if (st == CLV_OK)
        st = clvi_stats_add_candidates(f.writer, explored_hash(t->opts, t->calibration != NULL), lists, t->sites->n,
                                       err);
    if (st == CLV_OK)
        st = clvi_stats_commit(f.writer, err);
    clvi_stats_writer_free(f.writer);
    return st;
}

static clv_status explore_file(flow *f, clv_error *err)
{
    const clvi_explore_task *t = f->task;
    clvi_candidates *lists = f->lists;
    clvi_stats stats;
    bool found = false;
    TRY(clvi_stats_open(&stats, t->stats, err));
    clv_status st = check_stats(t, &stats, err);
    if (st == CLV_OK)
        st = clvi_stats_read_candidates(&found, lists, t->sites->n, &stats, explored_hash(t->opts, true), err);
    if (st == CLV_OK && !found && !t->calibration)
        st = clvi_stats_read_candidates(&found, lists, t->sites->n, &stats, explored_hash(t->opts, false), err);
    if (st == CLV_OK && found)
        for (size_t i = 0; i < t->sites->n && st == CLV_OK; i++) {
            if (t->sites->site[i].kept)
                lists[i].n = 0; /* this run keeps what the one before did not */
            found = found && (lists[i].n > 0 || t->sites->site[i].kept);
        }
    if (st == CLV_OK && !found) {
        st = replay(f, &stats, err);
        if (st == CLV_OK)
            st = run_probes(f, err);
        if (st == CLV_OK)
            st = rewrite(t, &stats, lists, err);
    }
    clvi_stats_close(&stats);
    return st;
}

/* One walk over the images. */
static clv_status survey(flow *f, clv_error *err)
{
    const clvi_explore_task *t = f->task;
    clv_status st = CLV_OK;
    if (t->stats) {
        clvi_stats_head *head = clvi_calloc(1, sizeof *head);
        st = head ? clvi_stats_head_of(head, t->original, t->sites, t->calibration, err)
                  : FAIL(err, CLV_ERR_NOMEM, "statistics");
        if (st == CLV_OK)
            st = clvi_stats_create(&f->writer, t->stats, head, err);
        clvi_free(head);
    }
    if (st == CLV_OK)
        st = clvi_survey(t->original, t->sites, t->calibration, t->memory, take, f, err);
    if (st == CLV_OK)
        st = run_probes(f, err);
    if (st == CLV_OK && f->writer && f->lists)
        st = clvi_stats_add_candidates(f->writer, explored_hash(t->opts, true), f->lists, t->sites->n, err);
    if (st == CLV_OK && f->writer)
        st = clvi_stats_commit(f->writer, err);
    clvi_stats_writer_free(f->writer);
    return st;
}

clv_status clvi_explore(clvi_candidates *lists, const clvi_explore_task *task, double *seconds, clv_error *err)
{
    flow f = {.task = task, .lists = lists};
    const bool file = task->stats && access(task->stats, F_OK) == 0;
    if (!file && !task->calibration)
        return FAIL(err, CLV_ERR_ARG, "neither images nor statistics were given");
    clv_status st = start_probes(&f, err);
    if (st == CLV_OK)
        st = file ? explore_file(&f, err) : survey(&f, err);
    free_probes(&f);
    *seconds += f.seconds;
    return st;
}

clv_status clvi_collect(const clvi_explore_task *task, clv_error *err)
{
    flow f = {.task = task};
    return survey(&f, err);
}
