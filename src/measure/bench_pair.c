/* SPDX-License-Identifier: Apache-2.0 */
/* A model and what was made of it, in turns: each in cleave, then each in every other engine, again and again, so that
 * all of them see the same machine. */
#include "base/mem.h"
#include "measure/bench.h"
#include "measure/rivals.h"

#define BLOCK_RUNS 3

typedef struct side {
    clvi_bench_job job;
    clvi_rivals rivals;
    clvi_times own, theirs[CLVI_MAX_RIVALS];
} side;

typedef struct duel {
    side side[2]; /* the original, its successor */
    clvi_times own_ratios, ratios[CLVI_MAX_RIVALS], across[CLVI_MAX_RIVALS];
    clvi_times room;
} duel;

/* The median of what was appended from `first` on. */
static clv_status median_from(double *out, const clvi_times *all, size_t first, clvi_times *room, clv_error *err)
{
    room->n = 0;
    for (size_t i = first; i < all->n; i++)
        TRY(clvi_times_add(room, all->seconds[i], err));
    clvi_times_sort(room);
    *out = room->n ? clvi_times_percentile(room, 50) : 0;
    return CLV_OK;
}

static clv_status own_turn(duel *d, double block, double median[2], clv_error *err)
{
    for (int k = 0; k < 2; k++) {
        side *const s = &d->side[k];
        const size_t first = s->own.n;
        clvi_times warm = {0};
        const clv_status st = clvi_bench_job_time(&s->job, 1, 0, &warm, err);
        clvi_times_free(&warm);
        TRY(st);
        TRY(clvi_bench_job_time(&s->job, BLOCK_RUNS, block, &s->own, err));
        TRY(median_from(&median[k], &s->own, first, &d->room, err));
        clvi_bench_pause(); /* our threads stop spinning, as the others' do after their blocks */
    }
    return clvi_times_add(&d->own_ratios, median[0] / median[1], err);
}

static bool both_run(const duel *d, size_t engine)
{
    return engine < d->side[1].rivals.n && !d->side[0].rivals.engine[engine].note[0] &&
           !d->side[1].rivals.engine[engine].note[0];
}

static clv_status play_round(duel *d, double block, clv_error *err)
{
    double own[2], theirs[2];
    TRY(own_turn(d, block, own, err));
    for (size_t e = 0; e < d->side[0].rivals.n; e++) {
        if (!both_run(d, e))
            continue;
        for (int k = 0; k < 2; k++) {
            side *const s = &d->side[k];
            const size_t first = s->theirs[e].n;
            TRY(clvi_rivals_run(&s->rivals, e, block, &s->theirs[e], err));
            TRY(median_from(&theirs[k], &s->theirs[e], first, &d->room, err));
        }
        TRY(clvi_times_add(&d->ratios[e], theirs[0] / theirs[1], err));
        TRY(clvi_times_add(&d->across[e], theirs[0] / own[1], err));
    }
    return CLV_OK;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

typedef struct setting {
    int threads;
    int64_t batch;
} setting;

static void report_row(clvi_item *table, const char *before, const char *after, setting how, clvi_times *const times[3])
{
    clvi_item *const row = clvi_report_row(table);
    clvi_report_text(row, "original_in", before);
    clvi_report_text(row, "result_in", after);
    clvi_report_int(row, "batch", how.batch);
    clvi_report_int(row, "threads", how.threads);
    for (int i = 0; i < 3; i++)
        clvi_times_sort(times[i]);
    if (times[2]->n == 0)
        return;
    clvi_report_real(row, "original_ms", 1e3 * clvi_times_percentile(times[0], 50), 3);
    clvi_report_real(row, "result_ms", 1e3 * clvi_times_percentile(times[1], 50), 3);
    clvi_report_real(row, "times_faster", clvi_times_percentile(times[2], 50), 2);
    clvi_report_real(row, "least", times[2]->seconds[0], 2);
    clvi_report_real(row, "most", times[2]->seconds[times[2]->n - 1], 2);
}

static void report_duel(duel *d, int threads, clvi_item *report)
{
    const clvi_bench_job *const job = &d->side[0].job;
    const bool batched = job->graph->n_inputs > 0 && job->inputs[0].rank > 0;
    const setting how = {threads, batched ? job->inputs[0].dims[0] : 1};
    clvi_item *const table = clvi_report_table(report, "speed");
    side *const s = d->side;
    report_row(table, "cleave", "cleave", how, (clvi_times *[]){&s[0].own, &s[1].own, &d->own_ratios});
    for (size_t e = 0; e < s[0].rivals.n; e++) {
        const clvi_rival *const r = &s[0].rivals.engine[e];
        if (!both_run(d, e)) {
            clvi_report_text(clvi_report_object(report, "engines_left_out"), r->name,
                             r->note[0] ? r->note : s[1].rivals.engine[e].note);
            continue;
        }
        report_row(table, r->name, r->name, how, (clvi_times *[]){&s[0].theirs[e], &s[1].theirs[e], &d->ratios[e]});
        report_row(table, r->name, "cleave", how, (clvi_times *[]){&s[0].theirs[e], &s[1].own, &d->across[e]});
    }
}

/* --- one number of threads --------------------------------------------------------------------------------------- */

static clv_status start(duel *d, const clvi_contestant pair[2], const clv_bench_opts *opts,
                        const clv_against_opts *against, clv_context *context, clv_error *err)
{
    for (int k = 0; k < 2; k++) {
        TRY(clvi_bench_job_create(&d->side[k].job, pair[k].graph, opts, context, err));
        if (!against->engines || !*against->engines)
            continue;
        clv_against_opts own = *against;
        own.path = pair[k].path;
        TRY(clvi_rivals_start(&d->side[k].rivals, &own, &d->side[k].job, clv_context_threads(context), err));
    }
    return CLV_OK;
}

static void end(duel *d)
{
    for (int k = 0; k < 2; k++) {
        clvi_rivals_stop(&d->side[k].rivals, &d->side[k].job);
        clvi_bench_job_free(&d->side[k].job);
        clvi_times_free(&d->side[k].own);
        for (size_t e = 0; e < CLVI_MAX_RIVALS; e++)
            clvi_times_free(&d->side[k].theirs[e]);
    }
    for (size_t e = 0; e < CLVI_MAX_RIVALS; e++) {
        clvi_times_free(&d->ratios[e]);
        clvi_times_free(&d->across[e]);
    }
    clvi_times_free(&d->own_ratios);
    clvi_times_free(&d->room);
}

static clv_status compete(const clvi_contestant pair[2], const clv_bench_opts *opts, const clv_against_opts *against,
                          clv_context *context, clvi_item *report, clv_error *err)
{
    duel d = {.side = {{.rivals = {.fd = -1}}, {.rivals = {.fd = -1}}}};
    clv_status st = start(&d, pair, opts, against, context, err);
    for (int64_t i = 0; i < against->rounds && st == CLV_OK; i++) {
        clvi_progress(context, "timing", i, against->rounds);
        st = play_round(&d, against->block, err);
    }
    if (st == CLV_OK) {
        clvi_progress(context, "timing", against->rounds, against->rounds);
        report_duel(&d, clv_context_threads(context), report);
    } else if (clvi_check_cancel(context, NULL) != CLV_OK) {
        st = clvi_check_cancel(context, err); /* the interrupt ended the other processes, too */
    }
    end(&d);
    return st;
}

clv_status clvi_bench_pair(const clvi_contestant pair[2], const clv_bench_opts *opts, const clv_against_opts *against,
                           clv_context *context, clvi_item *report, clv_error *err)
{
    TRY(clvi_bench_check_against(against, err));
    if (against->engines && *against->engines && (!pair[0].path || !pair[1].path || !against->script))
        return FAIL(err, CLV_ERR_ARG, "other engines need the paths of both models and the script");
    const int here = clv_context_threads(context);
    const int *const threads = against->n_threads ? against->threads : &here;
    for (size_t i = 0; i < (against->n_threads ? against->n_threads : 1); i++) {
        clv_context_opts own = context->opts;
        clv_context *mine = NULL;
        own.threads = threads[i];
        own.isa = clv_context_isa(context);
        clv_status st = clv_context_create(&mine, &own, err);
        if (st == CLV_OK)
            st = compete(pair, opts, against, mine, report, err);
        clv_context_free(mine);
        TRY(st);
    }
    return CLV_OK;
}
