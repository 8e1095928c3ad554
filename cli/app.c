/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_INTERVAL 5.0 /* seconds between progress lines where there is no terminal */

static volatile sig_atomic_t cancelled; /* the one thing that a signal handler may write */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    cancelled = 1;
}

double app_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void close_line(app *a)
{
    if (a->line_open)
        (void)fputs("\r\033[K", stderr);
    a->line_open = false;
}

static void print_duration(double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        (void)fprintf(stderr, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)fprintf(stderr, "%ld:%02ld", s / 60, s % 60);
}

/* When the stage began: now, where it is not one of those that are open. Those within it have ended. */
static double enter_stage(app *a, const char *stage, double now)
{
    const size_t size = sizeof a->stage[0].name, most = sizeof a->stage / sizeof *a->stage;
    for (size_t i = 0; i < a->stages; i++)
        if (strncmp(a->stage[i].name, stage, size - 1) == 0) {
            a->stages = i + 1;
            return a->stage[i].started;
        }
    if (a->stages == 0)
        a->printed = now;
    const size_t at = a->stages < most ? a->stages++ : most - 1;
    (void)snprintf(a->stage[at].name, size, "%s", stage);
    a->stage[at].started = now;
    return now;
}

static void on_progress(void *user, const char *stage, int64_t done, int64_t total)
{
    app *a = user;
    const double now = app_now(), started = enter_stage(a, stage, now);
    const bool end = total > 0 && done >= total;
    if (end)
        a->stages--;
    if (a->quiet || !a->leads || (!a->tty && now - a->printed < PLAIN_INTERVAL))
        return;
    close_line(a);
    if (end && a->tty)
        return; /* a finished stage leaves nothing behind */
    a->printed = now;
    (void)fprintf(stderr, "%s: %" PRId64, stage, done);
    if (total > 0)
        (void)fprintf(stderr, " of %" PRId64 " (%d %%)", total, (int)(100.0 * (double)done / (double)total));
    (void)fputs(", ", stderr);
    print_duration(now - started);
    if (total > 0 && done > 0 && !end) {
        (void)fputs(" gone, about ", stderr);
        print_duration((now - started) * (double)(total - done) / (double)done);
        (void)fputs(" to go", stderr);
    } else {
        (void)fputs(" gone", stderr);
    }
    if (!a->tty)
        (void)fputc('\n', stderr);
    a->line_open = a->tty;
    (void)fflush(stderr);
}

static void on_log(void *user, clv_log_level level, const char *message)
{
    app *a = user;
    if (!a->leads || (a->quiet && level != CLV_LOG_WARNING) || (level == CLV_LOG_DEBUG && !a->verbose))
        return;
    close_line(a);
    (void)fprintf(stderr, "%s%s\n", level == CLV_LOG_WARNING ? "cleave: warning: " : "", message);
}

/* Join the other processes of an MPI job, or say that they do the same. */
static clv_status join(app *a, const verb *v)
{
    const int started = clv_ranks_started();
    if (started > 1 && !v->shared)
        app_say(a, "cleave %s does not share its work: each of %d processes does all of it\n", v->name, started);
    if (!v->shared)
        return CLV_OK;
    const clv_status st = clv_ranks_join(&a->ranks, &cancelled, &a->err);
    a->leads = clv_ranks_number(a->ranks) == 0;
    return st;
}

clv_status app_start(app *a, const verb *v)
{
    clv_context_opts opts = clv_context_opts_default();
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    a->verb = v;
    a->leads = true;
    a->tty = isatty(STDERR_FILENO) == 1;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (a->threads > 4096)
        return app_fail(a, CLV_ERR_ARG, "--threads is %" PRId64 ", at most 4096 are possible", a->threads);
    const clv_status joined = join(a, v);
    if (joined != CLV_OK)
        return joined;
    opts.threads = (int)a->threads;
    if (a->ranks && opts.threads == 0 && !getenv("CLEAVE_NUM_THREADS"))
        opts.threads = clv_ranks_threads(a->ranks);
    opts.ranks = a->ranks;
    opts.isa = a->isa;
    opts.log = on_log;
    opts.progress = on_progress;
    opts.user = a;
    opts.cancel = &cancelled;
    const clv_status st = clv_context_create(&a->context, &opts, &a->err);
    return st == CLV_OK ? clv_report_create(&a->report, &a->err) : st;
}

clv_status app_print(app *a)
{
    if (!a->leads)
        return CLV_OK;
    close_line(a);
    const clv_status st = clv_report_print(a->report, stdout, &a->err);
    return st == CLV_OK ? app_write_json(a) : st;
}

clv_status app_write_json(app *a)
{
    return a->json ? clv_report_write_json(a->report, a->json, &a->err) : CLV_OK;
}

void app_say(app *a, const char *format, ...)
{
    va_list args;
    if (a->quiet || !a->leads)
        return;
    close_line(a);
    (void)fflush(stdout); /* one log file of both keeps the order; a failure is seen in app_finish */
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
}

clv_status app_fail(app *a, clv_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(a->err.msg, sizeof a->err.msg, format, args);
    va_end(args);
    a->err.code = status;
    a->err.site = "";
    return status;
}

static int exit_status(clv_status status)
{
    switch (status) {
    case CLV_OK:
        return 0;
    case CLV_ERR_ARG:
        return EXIT_USAGE;
    case CLV_ERR_FORMAT:
    case CLV_ERR_UNSUP:
        return EXIT_MODEL;
    case CLV_ERR_BUDGET:
        return EXIT_BUDGET;
    case CLV_ERR_VERIFY:
        return EXIT_VERIFY;
    case CLV_ERR_INTERRUPTED:
        return EXIT_INTERRUPTED;
    case CLV_ERR_NOMEM:
    case CLV_ERR_NUMERIC:
    case CLV_ERR_IO:
    case CLV_ERR_DATA:
        break;
    }
    return 1;
}

int app_finish(app *a, clv_status status)
{
    close_line(a);
    if (status == CLV_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = app_fail(a, CLV_ERR_IO, "cannot write the results to standard output");
    if (clv_ranks_settle(a->ranks, status) && status != CLV_OK) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "cleave %s: %s\n", a->verb->name, a->err.msg);
        if (a->verbose)
            (void)fprintf(stderr, "  (%s, at %s)\n", clv_status_text(status), a->err.site ? a->err.site : "?");
    }
    clv_report_free(a->report);
    clv_context_free(a->context);
    clv_ranks_leave(a->ranks);
    return exit_status(status);
}
