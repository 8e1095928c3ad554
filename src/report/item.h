/* SPDX-License-Identifier: Apache-2.0 */
/* The tree behind a report: private to src/report/. */
#ifndef CLVI_REPORT_ITEM_H
#define CLVI_REPORT_ITEM_H

#include "base/mem.h"
#include "report/report.h"

typedef enum clvi_item_kind {
    CLVI_ITEM_OBJECT,
    CLVI_ITEM_TABLE, /* children are objects without a key */
    CLVI_ITEM_INT,
    CLVI_ITEM_REAL,
    CLVI_ITEM_TEXT,
    CLVI_ITEM_BOOL
} clvi_item_kind;

struct clvi_item {
    clv_report *report;
    const char *key; /* NULL: the root, or a row */
    clvi_item_kind kind;
    int64_t integer; /* INT, BOOL */
    double real;
    int digits;
    const char *text;
    bool hidden;                    /* from print, not from JSON */
    clvi_item *first, *last, *next; /* children in the order they were set; next sibling */
};

struct clv_report {
    clvi_arena *arena;
    clvi_item *root;
    bool failed; /* memory was short */
};

/* The child of an object called key (n characters), or the row of a table numbered by key; NULL: none. */
const clvi_item *clvi_item_child(const clvi_item *item, const char *key, size_t n);

#endif
