/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/bench_steps.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/profile.h"

/* --- collecting ------------------------------------------------------------------------------------------------- */

clv_status clvi_bench_steps(clvi_bench_step **steps, size_t *n, clvi_bench_job *job, int64_t runs, clv_error *err)
{
    clvi_times times = {0};
    clvi_profile_row *rows = NULL;
    size_t count = 0;
    *n = 0;
    *steps = NULL;
    clv_status st = clvi_bench_job_start(job, true, err);
    if (st == CLV_OK)
        st = clvi_bench_job_time(job, runs, 0, &times, err);
    if (st == CLV_OK) {
        count = clvi_session_profile(job->session, NULL, 0);
        rows = clvi_calloc(count, sizeof *rows);
        *steps = clvi_calloc(count, sizeof **steps);
        if (!rows || !*steps)
            st = FAIL(err, CLV_ERR_NOMEM, "profile of %zu steps", count);
    }
    if (st == CLV_OK)
        (void)clvi_session_profile(job->session, rows, count);
    for (size_t i = 0; i < count && st == CLV_OK; i++)
        if (rows[i].seconds > 0)
            (*steps)[(*n)++] = (clvi_bench_step){.nodes = rows[i].nodes,
                                                 .kernel = rows[i].kernel,
                                                 .seconds = rows[i].seconds / (double)rows[i].runs,
                                                 .macs = (double)rows[i].macs,
                                                 .bytes = (double)rows[i].bytes};
    clvi_free(rows);
    clvi_times_free(&times);
    return st;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static int slower_first(const void *a, const void *b)
{
    const clvi_bench_step *const x = a, *const y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

void clvi_report_steps(clvi_bench_step *steps, size_t n, const clvi_machine *machine, int threads, clvi_item *table)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += steps[i].seconds;
    if (n > 1)
        qsort(steps, n, sizeof *steps, slower_first);
    for (size_t i = 0; i < n; i++) {
        const clvi_bench_step *const s = &steps[i];
        bool memory = false;
        const double floor = clvi_machine_floor(machine, s->macs, s->bytes, threads, &memory);
        clvi_item *const row = clvi_report_row(table);
        clvi_report_real(row, "ms", 1e3 * s->seconds, 4);
        clvi_report_real(row, "percent", 100 * s->seconds / total, 1);
        clvi_report_int(row, "macs", (int64_t)s->macs);
        clvi_report_int(row, "bytes", (int64_t)s->bytes);
        clvi_report_real(row, "gflops", 2e-9 * s->macs / s->seconds, 1);
        clvi_report_real(row, "floor_ms", 1e3 * floor, 4);
        clvi_report_real(row, "over_floor", floor > 0 ? s->seconds / floor : 0, 1);
        clvi_report_text(row, "floor_is", memory ? "bytes" : "multiply-adds");
        clvi_report_text(row, "kernel", s->kernel);
        clvi_report_text(row, "layer", s->nodes);
    }
}

/* --- Chrome trace ------------------------------------------------------------------------------------------------ */

/* Names come from files: what JSON reserves is escaped, bytes above 0x7F are taken to be UTF-8 already. */
static void put_json(clvi_str *s, const char *text)
{
    clvi_str_puts(s, "\"");
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            clvi_str_printf(s, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            clvi_str_printf(s, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            clvi_str_append(s, text, 1);
    clvi_str_puts(s, "\"");
}

/* Microseconds with three digits, in every locale. */
static void put_micros(clvi_str *s, const char *key, double seconds)
{
    const long long ns = (long long)(seconds * 1e9 + 0.5);
    clvi_str_printf(s, ",\"%s\":%lld.%03lld", key, ns / 1000, ns % 1000);
}

clv_status clvi_trace_write(const clvi_bench_step *steps, size_t n, const char *path, clv_error *err)
{
    clvi_str s = {0};
    double at = 0;
    clvi_str_puts(&s, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (size_t i = 0; i < n; i++) {
        clvi_str_puts(&s, i ? ",\n{\"name\":" : "\n{\"name\":");
        put_json(&s, steps[i].nodes);
        clvi_str_puts(&s, ",\"cat\":");
        put_json(&s, steps[i].kernel);
        clvi_str_puts(&s, ",\"ph\":\"X\",\"pid\":1,\"tid\":1");
        put_micros(&s, "ts", at);
        put_micros(&s, "dur", steps[i].seconds);
        clvi_str_printf(&s, ",\"args\":{\"macs\":%lld,\"bytes\":%lld}}", (long long)steps[i].macs,
                        (long long)steps[i].bytes);
        at += steps[i].seconds;
    }
    clvi_str_puts(&s, "\n]}\n");
    const clv_status st =
        s.failed ? FAIL(err, CLV_ERR_NOMEM, "trace of %zu steps", n) : clvi_file_replace(path, s.text, s.size, err);
    clvi_str_free(&s);
    return st;
}
