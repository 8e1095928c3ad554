/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb shares: its context, its report, progress and messages on stderr, the exit status. */
#ifndef CLEAVE_CLI_APP_H
#define CLEAVE_CLI_APP_H

#include "cleave/context.h"
#include "cleave/ranks.h"
#include "cleave/report.h"
#include "options.h"

/* Exit statuses beside 0, 1 (failure) and EXIT_USAGE. */
#define EXIT_MODEL       3
#define EXIT_BUDGET      4
#define EXIT_VERIFY      5
#define EXIT_INTERRUPTED 130

typedef struct app {
    /* options */
    int64_t threads;
    const char *isa, *json;
    bool quiet, verbose;

    const verb *verb;
    clv_context *context;
    clv_report *report;
    clv_error err;
    clv_ranks *ranks; /* NULL: alone */
    bool leads;       /* this process prints and writes: all do but ranks 1, 2, ... */

    /* the progress line */
    bool tty, line_open;
    /* open stages, each within the one before: a layer's images within all layers */
    struct {
        char name[64];
        double started;
    } stage[4];
    size_t stages;
    double printed;
} app;

/* The options that fill an app; for the end of a verb's table. */
#define APP_OPTIONS(a)                                                                                           \
    {0, "json", "FILE", "also write the results as JSON", OPTION_TEXT, &(a)->json},                              \
        {0, "threads", "N", "threads to work with (default: the cores at hand)", OPTION_INT, &(a)->threads},     \
        {0, "isa", "NAME", "use at most this instruction set: ref, avx2, avx512, neon", OPTION_TEXT, &(a)->isa}, \
        {'q', "quiet", NULL, "no progress and no remarks on stderr, errors alone", OPTION_FLAG, &(a)->quiet},    \
    {                                                                                                            \
        'v', "verbose", NULL, "say more on stderr", OPTION_FLAG, &(a)->verbose                                   \
    }

/* Make context and report; of a shared verb join the ranks. From here on the first Ctrl-C asks the work to stop, the
 * second one kills. */
clv_status app_start(app *a, const verb *v);

/* Print the report on stdout, and into --json; nothing where others lead. */
clv_status app_print(app *a);
clv_status app_write_json(app *a);

/* Say what went wrong, release all, return the exit status. */
int app_finish(app *a, clv_status status);

/* A remark on stderr, unless quiet. */
void app_say(app *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* CLV_ERR_ARG with a message, for what the library cannot know. */
clv_status app_fail(app *a, clv_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

double app_now(void); /* seconds, monotonic */

#endif
