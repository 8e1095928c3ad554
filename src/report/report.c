/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <string.h>

#include "report/item.h"

static clvi_item *new_item(clv_report *report, const char *key, clvi_item_kind kind)
{
    clvi_item *item = clvi_arena_calloc(report->arena, 1, sizeof *item);
    const char *copy = key && item ? clvi_arena_strdup(report->arena, key) : NULL;
    if (!item || (key && !copy)) {
        report->failed = true;
        return NULL;
    }
    item->report = report;
    item->key = copy;
    item->kind = kind;
    return item;
}

static void append(clvi_item *parent, clvi_item *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

clv_status clv_report_create(clv_report **out, clv_error *err)
{
    *out = NULL;
    clv_report *report = clvi_calloc(1, sizeof *report);
    if (report)
        report->arena = clvi_arena_create();
    if (report && report->arena)
        report->root = new_item(report, NULL, CLVI_ITEM_OBJECT);
    if (!report || !report->root) {
        clv_report_free(report);
        return FAIL(err, CLV_ERR_NOMEM, "report");
    }
    *out = report;
    return CLV_OK;
}

void clv_report_free(clv_report *report)
{
    if (!report)
        return;
    clvi_arena_free(report->arena);
    clvi_free(report);
}

clvi_item *clvi_report_root(clv_report *report)
{
    return report ? report->root : NULL;
}

clv_status clvi_report_check(const clv_report *report, clv_error *err)
{
    if (report && report->failed)
        return FAIL(err, CLV_ERR_NOMEM, "report");
    return CLV_OK;
}

const clvi_item *clvi_item_child(const clvi_item *item, const char *key, size_t n)
{
    if (item->kind == CLVI_ITEM_TABLE) {
        size_t row = 0;
        for (size_t i = 0; i < n; i++) {
            if (key[i] < '0' || key[i] > '9' || row > SIZE_MAX / 20)
                return NULL;
            row = row * 10 + (size_t)(key[i] - '0');
        }
        const clvi_item *child = n ? item->first : NULL;
        while (child && row-- > 0)
            child = child->next;
        return child;
    }
    if (item->kind == CLVI_ITEM_OBJECT)
        for (const clvi_item *child = item->first; child; child = child->next)
            if (strlen(child->key) == n && memcmp(child->key, key, n) == 0)
                return child;
    return NULL;
}

/* The entry `key` of an object as one of this kind: made when absent, emptied when it was of another kind. */
static clvi_item *entry(clvi_item *parent, const char *key, clvi_item_kind kind)
{
    if (!parent || parent->kind != CLVI_ITEM_OBJECT)
        return NULL;
    clvi_item *item = (clvi_item *)clvi_item_child(parent, key, strlen(key));
    if (!item) {
        item = new_item(parent->report, key, kind);
        if (item)
            append(parent, item);
    } else if (item->kind != kind) {
        item->kind = kind;
        item->first = item->last = NULL;
    }
    return item;
}

clvi_item *clvi_report_object(clvi_item *parent, const char *key)
{
    return entry(parent, key, CLVI_ITEM_OBJECT);
}

clvi_item *clvi_report_table(clvi_item *parent, const char *key)
{
    return entry(parent, key, CLVI_ITEM_TABLE);
}

clvi_item *clvi_report_row(clvi_item *table)
{
    if (!table || table->kind != CLVI_ITEM_TABLE)
        return NULL;
    clvi_item *row = new_item(table->report, NULL, CLVI_ITEM_OBJECT);
    if (row)
        append(table, row);
    return row;
}

void clvi_report_hide(clvi_item *item)
{
    if (item)
        item->hidden = true;
}

void clvi_report_int(clvi_item *item, const char *key, int64_t value)
{
    clvi_item *e = entry(item, key, CLVI_ITEM_INT);
    if (e)
        e->integer = value;
}

void clvi_report_real(clvi_item *item, const char *key, double value, int digits)
{
    clvi_item *e = entry(item, key, CLVI_ITEM_REAL);
    if (e) {
        e->real = value;
        e->digits = digits;
    }
}

void clvi_report_text(clvi_item *item, const char *key, const char *value)
{
    clvi_item *e = entry(item, key, CLVI_ITEM_TEXT);
    if (!e)
        return;
    e->text = clvi_arena_strdup(e->report->arena, value ? value : "");
    if (!e->text) {
        e->text = "";
        e->report->failed = true;
    }
}

void clvi_report_bool(clvi_item *item, const char *key, bool value)
{
    clvi_item *e = entry(item, key, CLVI_ITEM_BOOL);
    if (e)
        e->integer = value;
}

static const clvi_item *find(const clv_report *report, const char *path)
{
    const clvi_item *item = report->root;
    while (item && path) {
        const char *dot = strchr(path, '.');
        item = clvi_item_child(item, path, dot ? (size_t)(dot - path) : strlen(path));
        path = dot ? dot + 1 : NULL;
    }
    return item;
}

clv_status clv_report_number(const clv_report *report, const char *path, double *out, clv_error *err)
{
    const clvi_item *item = find(report, path);
    if (item && item->kind == CLVI_ITEM_REAL) {
        *out = item->real;
        return CLV_OK;
    }
    if (item && (item->kind == CLVI_ITEM_INT || item->kind == CLVI_ITEM_BOOL)) {
        *out = (double)item->integer;
        return CLV_OK;
    }
    return FAIL(err, CLV_ERR_ARG, "the report has %s at \"%s\"", item ? "no number" : "nothing", path);
}

const char *clv_report_string(const clv_report *report, const char *path)
{
    const clvi_item *item = find(report, path);
    return item && item->kind == CLVI_ITEM_TEXT ? item->text : NULL;
}
