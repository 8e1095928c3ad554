/* SPDX-License-Identifier: Apache-2.0 */
/* What a job found out: a tree of named numbers, texts and tables, printed for people or written as JSON. */
#ifndef CLEAVE_REPORT_H
#define CLEAVE_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "cleave/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_report clv_report;

/* Gives *out, empty (clv_report_free). Every job that takes a report adds to it. */
CLV_API clv_status clv_report_create(clv_report **out, clv_error *err);
CLV_API void clv_report_free(clv_report *report); /* NULL-safe */

/* Aligned text: "name: value" lines, and tables with a header. */
CLV_API clv_status clv_report_print(const clv_report *report, FILE *to, clv_error *err);

/* The same as one JSON object; the file is replaced whole or not at all. */
CLV_API clv_status clv_report_write_json(const clv_report *report, const char *path, clv_error *err);

/* The number at a dotted path, e.g. "after.top1" or "layers.3.error" (row 3 of table "layers"). CLV_ERR_ARG: nothing
 * there. */
CLV_API clv_status clv_report_number(const clv_report *report, const char *path, double *out, clv_error *err);

/* The text at a dotted path, views; NULL: nothing there. */
CLV_API const char *clv_report_string(const clv_report *report, const char *path);

/* Add an entry at a dotted path, or replace it. Objects on the way are made; a number on the way is a row of a table,
 * and the number of its rows adds one: "outputs.0.name". `digits` after the point are printed, JSON has all.
 * CLV_ERR_ARG: a path that cannot be, such as one through a number that is there already. Per object. */
CLV_API clv_status clv_report_set_int(clv_report *report, const char *path, int64_t value, clv_error *err);
CLV_API clv_status clv_report_set_real(clv_report *report, const char *path, double value, int digits, clv_error *err);
CLV_API clv_status clv_report_set_text(clv_report *report, const char *path, const char *value, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
