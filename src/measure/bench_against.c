/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of blocks: cleave, then every other engine, again and again, so that all of them see the same machine. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "measure/bench.h"
#include "measure/machine.h"
#include "measure/rivals.h"

#define TOLERANCE  1e-4 /* of the largest output: an engine that differs more computes something else */
#define MAX_ROUNDS 1000
#define BLOCK_RUNS 3

typedef struct contest {
    clvi_bench_job job;
    clvi_rivals rivals;
    clvi_times own, theirs[CLVI_MAX_RIVALS]; /* all runs of all rounds */
    clvi_times ratios[CLVI_MAX_RIVALS];      /* median of theirs / median of own, one a round */
} contest;

void clvi_bench_pause(void)
{
    const struct timespec t = {.tv_nsec = 30000000};
    (void)nanosleep(&t, NULL);
}

clv_status clvi_bench_check_against(const clv_against_opts *against, clv_error *err)
{
    if (against->rounds < 1 || against->rounds > MAX_ROUNDS || !(against->block > 0 && against->block <= 60))
        return FAIL(err, CLV_ERR_ARG, "%lld rounds of %g seconds, 1 to %d of at most 60 are possible",
                    (long long)against->rounds, against->block, MAX_ROUNDS);
    return CLV_OK;
}

/* The median of the runs that were added from `first` on. */
static double block_median(const clvi_times *all, size_t first, clvi_times *room, clv_status *st, clv_error *err)
{
    room->n = 0;
    for (size_t i = first; i < all->n && *st == CLV_OK; i++)
        *st = clvi_times_add(room, all->seconds[i], err);
    if (*st != CLV_OK || room->n == 0)
        return 0;
    clvi_times_sort(room);
    return clvi_times_percentile(room, 50);
}

static clv_status play_round(contest *c, double block, clvi_times *room, clv_error *err)
{
    const size_t first = c->own.n;
    clvi_times warm = {0};
    clv_status st = clvi_bench_job_time(&c->job, 1, 0, &warm, err);
    clvi_times_free(&warm);
    TRY(st);
    TRY(clvi_bench_job_time(&c->job, BLOCK_RUNS, block, &c->own, err));
    const double own = block_median(&c->own, first, room, &st, err);
    clvi_bench_pause(); /* our threads stop spinning, as the others' do after their blocks */
    for (size_t i = 0; i < c->rivals.n && st == CLV_OK; i++) {
        const size_t from = c->theirs[i].n;
        if (c->rivals.engine[i].note[0])
            continue;
        TRY(clvi_rivals_run(&c->rivals, i, block, &c->theirs[i], err));
        const double theirs = block_median(&c->theirs[i], from, room, &st, err);
        if (st == CLV_OK)
            st = clvi_times_add(&c->ratios[i], theirs / own, err);
    }
    return st;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static void report_engine(clvi_item *row, const char *name, const char *version, int threads, clvi_times *times)
{
    clvi_report_text(row, "engine", name);
    clvi_report_text(row, "version", version);
    clvi_report_int(row, "threads", threads);
    if (times->n) {
        clvi_times_sort(times);
        clvi_report_real(row, "min_ms", 1e3 * times->seconds[0], 3);
        clvi_report_real(row, "p50_ms", 1e3 * clvi_times_percentile(times, 50), 3);
    }
}

static void report_verdict(clvi_item *row, const clvi_rival *e, double median, double least, double most)
{
    clvi_report_real(row, "times_cleave", median, 2);
    clvi_report_real(row, "least", least, 2);
    clvi_report_real(row, "most", most, 2);
    clvi_report_real(row, "error", e->error, 7);
    clvi_report_bool(row, "counted", e->error <= TOLERANCE);
}

static void report_contest(contest *c, int threads, clvi_item *table)
{
    clvi_item *row = clvi_report_row(table);
    report_engine(row, "cleave", "this build", threads, &c->own);
    report_verdict(row, &(const clvi_rival){.error = 0}, 1, 1, 1);
    for (size_t i = 0; i < c->rivals.n; i++) {
        const clvi_rival *const e = &c->rivals.engine[i];
        clvi_times *const ratios = &c->ratios[i];
        row = clvi_report_row(table);
        report_engine(row, e->name, e->version, threads, &c->theirs[i]);
        clvi_times_sort(ratios);
        if (!e->note[0] && ratios->n)
            report_verdict(row, e, clvi_times_percentile(ratios, 50), ratios->seconds[0],
                           ratios->seconds[ratios->n - 1]);
        clvi_report_text(row, "note", e->note);
    }
}

/* --- one number of threads --------------------------------------------------------------------------------------- */

static clv_status compete(const clvi_graph *graph, const clv_bench_opts *opts, const clv_against_opts *against,
                          clv_context *context, clvi_item *report, clv_error *err)
{
    contest c = {.rivals = {.fd = -1}};
    clvi_times room = {0};
    clvi_count count;
    const int threads = clv_context_threads(context);
    clv_status st = clvi_bench_job_create(&c.job, graph, opts, context, err);
    if (st == CLV_OK)
        st = clvi_bench_job_report(&c.job, &count, clvi_report_object(report, "model"), err);
    if (st == CLV_OK)
        st = clvi_rivals_start(&c.rivals, against, &c.job, threads, err);
    for (int64_t i = 0; i < against->rounds && st == CLV_OK; i++) {
        clvi_progress(context, "comparing", i, against->rounds);
        st = play_round(&c, against->block, &room, err);
    }
    if (st == CLV_OK) {
        clvi_progress(context, "comparing", against->rounds, against->rounds);
        report_contest(&c, threads, clvi_report_table(report, "against"));
    } else if (clvi_check_cancel(context, NULL) != CLV_OK) {
        st = clvi_check_cancel(context, err); /* the interrupt ended the other process, too */
    }
    clvi_rivals_stop(&c.rivals, &c.job);
    clvi_bench_job_free(&c.job);
    clvi_times_free(&c.own);
    for (size_t i = 0; i < CLVI_MAX_RIVALS; i++) {
        clvi_times_free(&c.theirs[i]);
        clvi_times_free(&c.ratios[i]);
    }
    clvi_times_free(&room);
    return st;
}

/* The same with a context of its own: `threads` of them. */
static clv_status compete_with(const clvi_graph *graph, const clv_bench_opts *opts, const clv_against_opts *against,
                               const clv_context *context, int threads, clvi_item *report, clv_error *err)
{
    clv_context_opts own = context->opts;
    clv_context *mine = NULL;
    clvi_machine machine;
    own.threads = threads;
    own.isa = clv_context_isa(context);
    clv_status st = clv_context_create(&mine, &own, err);
    if (st == CLV_OK)
        st = clvi_machine_measure(&machine, mine, err);
    if (st == CLV_OK) {
        clvi_report_machine(&machine, mine, clvi_report_row(clvi_report_table(report, "machine")));
        st = compete(graph, opts, against, mine, report, err);
    }
    clv_context_free(mine);
    return st;
}

clv_status clvi_bench_against(const clvi_graph *graph, const clv_bench_opts *opts, const clv_against_opts *against,
                              clv_context *context, clvi_item *report, clv_error *err)
{
    clv_status st = CLV_OK;
    const int default_threads = clv_context_threads(context);
    const int *const threads = against->n_threads ? against->threads : &default_threads;
    const size_t n = against->n_threads ? against->n_threads : 1;
    if (!against->path || !against->engines || !*against->engines || !against->script)
        return FAIL(err, CLV_ERR_ARG, "the model's path, the engines or the script are not given");
    TRY(clvi_bench_check_against(against, err));
    for (size_t i = 0; i < n && st == CLV_OK; i++)
        st = compete_with(graph, opts, against, context, threads[i], report, err);
    return st;
}
