/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/synth_report.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "report/plot.h"

#define KINDS 2

/* As clv_synth_row.data names them. */
static const char *const kinds[KINDS] = {"white", "correlated"};

static bool is_kind(const clv_synth_row *row, size_t kind)
{
    return strcmp(row->data, kinds[kind]) == 0;
}

/* One row for each multiplier, one column for each method. */
static void report_kind(const clv_synth_row *rows, size_t n, size_t kind, bool fresh, clvi_item *report)
{
    int64_t highest = 0;
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", kinds[kind], fresh ? "_fresh_patches" : "");
    for (size_t i = 0; i < n; i++)
        if (is_kind(&rows[i], kind) && rows[i].multiplier > highest)
            highest = rows[i].multiplier;
    for (int64_t m = 1; m <= highest; m++) {
        clvi_item *line = NULL;
        for (size_t i = 0; i < n; i++) {
            if (!is_kind(&rows[i], kind) || rows[i].multiplier != m)
                continue;
            if (!line) {
                line = clvi_report_row(clvi_report_table(report, name));
                clvi_report_int(line, "multiplier", m);
                clvi_report_int(line, "macs", rows[i].macs);
                clvi_report_real(line, "kept", (double)rows[i].macs / (double)rows[i].original_macs, 3);
            }
            clvi_report_real(line, rows[i].method, fresh ? rows[i].test_error : rows[i].train_error, 4);
        }
    }
}

static void report_row(const clv_synth_row *r, clvi_item *row)
{
    clvi_report_text(row, "data", r->data);
    clvi_report_text(row, "method", r->method);
    clvi_report_int(row, "multiplier", r->multiplier);
    clvi_report_int(row, "macs", r->macs);
    clvi_report_real(row, "train_error", r->train_error, 4);
    clvi_report_real(row, "test_error", r->test_error, 4);
    clvi_report_real(row, "seconds", r->seconds, 2);
}

void clvi_synth_report(const clv_synth_row *rows, size_t n, clvi_item *report)
{
    if (n > 0)
        clvi_report_int(report, "original_macs", rows[0].original_macs);
    for (size_t kind = 0; kind < KINDS; kind++) {
        report_kind(rows, n, kind, false, report);
        report_kind(rows, n, kind, true, report);
    }
    clvi_item *table = clvi_report_table(report, "rows");
    clvi_report_hide(table);
    for (size_t i = 0; i < n; i++)
        report_row(&rows[i], clvi_report_row(table));
}

/* The methods of one kind of data as series; x and y have room for all n rows. */
static clv_status collect(clvi_plot *plot, clvi_series series[CLVI_PLOT_MAX_SERIES], double *x, double *y,
                          const clv_synth_row *rows, size_t n, size_t kind, clv_error *err)
{
    clvi_series *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!is_kind(&rows[i], kind))
            continue;
        x[i] = (double)rows[i].macs / (double)rows[i].original_macs;
        y[i] = rows[i].test_error;
        if (!last || strcmp(last->label, rows[i].method) != 0) {
            if (plot->n_series == CLVI_PLOT_MAX_SERIES)
                return FAIL(err, CLV_ERR_ARG, "more than %d methods cannot be drawn", CLVI_PLOT_MAX_SERIES);
            last = &series[plot->n_series++];
            *last = (clvi_series){.label = rows[i].method, .x = x + i, .y = y + i};
        }
        last->n++;
    }
    return CLV_OK;
}

clv_status clvi_synth_plot(const clv_synth_row *rows, size_t n, const char *path, clv_error *err)
{
    clvi_plot plots[KINDS];
    clvi_series series[KINDS][CLVI_PLOT_MAX_SERIES];
    char titles[KINDS][96];
    size_t panels = 0;
    clv_status st = CLV_OK;
    double *x = clvi_alloc_array(n, 2 * sizeof *x), *y = x + n;
    if (!x)
        return FAIL(err, CLV_ERR_NOMEM, "%zu rows", n);
    for (size_t kind = 0; st == CLV_OK && kind < KINDS; kind++) {
        clvi_plot *p = &plots[panels];
        *p = (clvi_plot){.title = titles[panels],
                         .x_label = "multiply-adds, share of the original layer",
                         .y_label = "relative error on fresh patches",
                         .series = series[panels]};
        (void)snprintf(titles[panels], sizeof titles[panels], "A random layer on %s data", kinds[kind]);
        st = collect(p, series[panels], x, y, rows, n, kind, err);
        panels += p->n_series > 0;
    }
    if (st == CLV_OK && panels == 0)
        st = FAIL(err, CLV_ERR_ARG, "there is nothing to draw");
    if (st == CLV_OK)
        st = clvi_plot_write(plots, panels, path, err);
    clvi_free(x);
    return st;
}
