/* SPDX-License-Identifier: Apache-2.0 */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/status.h"

#define PROGRESS_INTERVAL 0.1 /* seconds */

clv_context_opts clv_context_opts_default(void)
{
    return (clv_context_opts){0};
}

static clv_status choose_threads(int *threads, int asked, clv_error *err)
{
    const char *text = getenv("CLEAVE_NUM_THREADS");
    *threads = asked;
    if (asked == 0 && text && *text) {
        char *end;
        const long n = strtol(text, &end, 10);
        if (*end || n < 1 || n > 4096)
            return FAIL(err, CLV_ERR_ARG, "CLEAVE_NUM_THREADS is \"%s\", a number from 1 to 4096 was expected", text);
        *threads = (int)n;
    }
    if (*threads == 0)
        *threads = clvi_cpu_cores();
    return CLV_OK;
}

static clv_status choose_cpu(clvi_cpu *cpu, const char *asked, clv_error *err)
{
    const char *name = asked ? asked : getenv("CLEAVE_ISA");
    *cpu = clvi_cpu_detect();
    if (name && *name && !clvi_cpu_parse(name, cpu))
        return FAIL(err, CLV_ERR_ARG, "instruction set \"%s\" is unknown or not on this machine, whose best is \"%s\"",
                    name, clvi_cpu_name(*cpu));
    return CLV_OK;
}

clv_status clv_context_create(clv_context **out, const clv_context_opts *opts, clv_error *err)
{
    int threads;
    clvi_cpu cpu;
    *out = NULL;
    TRY(choose_threads(&threads, opts ? opts->threads : 0, err));
    TRY(choose_cpu(&cpu, opts ? opts->isa : NULL, err));
    clv_context *context = clvi_calloc(1, sizeof *context);
    if (!context)
        return FAIL(err, CLV_ERR_NOMEM, "context");
    if (opts)
        context->opts = *opts;
    context->cpu = cpu;
    const clv_status st = clvi_pool_create(&context->pool, threads, err);
    if (st != CLV_OK) {
        clvi_free(context);
        return st;
    }
    *out = context;
    return CLV_OK;
}

void clv_context_free(clv_context *context)
{
    if (!context)
        return;
    clvi_pool_free(context->pool);
    clvi_free(context);
}

int clv_context_threads(const clv_context *context)
{
    return clvi_pool_threads(context->pool);
}

const char *clv_context_isa(const clv_context *context)
{
    return clvi_cpu_name(context->cpu);
}

void clvi_log(clv_context *context, clv_log_level level, const char *fmt, ...)
{
    if (!context || !context->opts.log)
        return;
    char message[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    context->opts.log(context->opts.user, level, message);
}

void clvi_progress(clv_context *context, const char *stage, int64_t done, int64_t total)
{
    if (!context || !context->opts.progress)
        return;
    const double now = clvi_now();
    if (done != total && now - context->last_progress < PROGRESS_INTERVAL)
        return;
    context->last_progress = now;
    context->opts.progress(context->opts.user, stage, done, total);
}

clv_status clvi_check_cancel(const clv_context *context, clv_error *err)
{
    if (context && context->opts.cancel && *context->opts.cancel)
        return FAIL(err, CLV_ERR_INTERRUPTED, "stopped on request");
    return CLV_OK;
}

double clvi_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clvi_cpu_seconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}
