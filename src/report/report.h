/* SPDX-License-Identifier: Apache-2.0 */
/* Building a report. Setters remember a failure (out of memory); clvi_report_check says so once at the end. */
#ifndef CLVI_REPORT_REPORT_H
#define CLVI_REPORT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "cleave/report.h"

typedef struct clvi_item clvi_item; /* an object: named entries in the order they were set; owned by the report */

clvi_item *clvi_report_root(clv_report *report);

/* The object / table called key inside parent, made when it is not there. Keys are JSON names ("top1", "macs"). */
clvi_item *clvi_report_object(clvi_item *parent, const char *key);
clvi_item *clvi_report_table(clvi_item *parent, const char *key);
clvi_item *clvi_report_row(clvi_item *table); /* a new object at the end of a table */

/* JSON alone shows this object or table: too long for people. */
void clvi_report_hide(clvi_item *item);

/* Setting a key again replaces it. */
void clvi_report_int(clvi_item *item, const char *key, int64_t value);
/* `digits` after the point in text; JSON has all digits; NaN and Inf become null / "-". */
void clvi_report_real(clvi_item *item, const char *key, double value, int digits);
void clvi_report_text(clvi_item *item, const char *key, const char *value);
void clvi_report_bool(clvi_item *item, const char *key, bool value);

clv_status clvi_report_check(const clv_report *report, clv_error *err);

#endif
