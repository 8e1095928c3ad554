/* SPDX-License-Identifier: Apache-2.0 */
/* A report as aligned text for people. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "report/item.h"
#include "report/number.h"

#define MAX_COLUMNS 32

/* Characters on the screen, taking one column for each code point. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* Names come from files: control characters would move the cursor. */
static void put_clean(clvi_str *out, const char *text)
{
    for (; *text; text++) {
        const char c = (unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text;
        clvi_str_append(out, &c, 1);
    }
}

static void put_padding(clvi_str *out, size_t n)
{
    clvi_str_printf(out, "%*s", (int)(n < 400 ? n : 400), "");
}

/* A scalar as text; `number` is the room for it. */
static const char *scalar(const clvi_item *item, char number[CLVI_NUMBER_SIZE])
{
    switch (item->kind) {
    case CLVI_ITEM_INT:
        clvi_number_grouped(number, item->integer);
        return number;
    case CLVI_ITEM_REAL:
        clvi_number_fixed(number, item->real, item->digits);
        return number;
    case CLVI_ITEM_BOOL:
        return item->integer ? "yes" : "no";
    case CLVI_ITEM_TEXT:
        return item->text;
    case CLVI_ITEM_OBJECT:
    case CLVI_ITEM_TABLE:
        break;
    }
    return "";
}

static bool is_scalar(const clvi_item *item)
{
    return item->kind != CLVI_ITEM_OBJECT && item->kind != CLVI_ITEM_TABLE;
}

typedef struct column {
    const char *key;
    size_t width;
    bool text; /* left-aligned */
} column;

/* The union of the keys of all rows, in the order of their first appearance. */
static size_t find_columns(const clvi_item *table, column columns[MAX_COLUMNS])
{
    size_t n = 0;
    char number[CLVI_NUMBER_SIZE];
    for (const clvi_item *row = table->first; row; row = row->next)
        for (const clvi_item *cell = row->first; cell; cell = cell->next) {
            size_t i = 0;
            while (i < n && strcmp(columns[i].key, cell->key) != 0)
                i++;
            if (i == MAX_COLUMNS || !is_scalar(cell))
                continue;
            if (i == n)
                columns[n++] = (column){.key = cell->key, .width = width(cell->key)};
            const size_t w = width(scalar(cell, number));
            columns[i].width = w > columns[i].width ? w : columns[i].width;
            columns[i].text |= cell->kind == CLVI_ITEM_TEXT;
        }
    return n;
}

static void put_cell(clvi_str *out, const column *c, const char *text)
{
    const size_t w = width(text), padding = (c->width > w ? c->width - w : 0);
    if (!c->text)
        put_padding(out, padding);
    put_clean(out, text);
    put_padding(out, c->text ? padding + 2 : 2);
}

static void end_line(clvi_str *out)
{
    while (out->size && out->text[out->size - 1] == ' ')
        out->size--;
    clvi_str_puts(out, "\n");
}

static void put_table(clvi_str *out, const clvi_item *table, size_t indent)
{
    column columns[MAX_COLUMNS];
    char number[CLVI_NUMBER_SIZE];
    const size_t n = find_columns(table, columns);
    if (n == 0)
        return;
    put_padding(out, indent);
    for (size_t i = 0; i < n; i++)
        put_cell(out, &columns[i], columns[i].key);
    end_line(out);
    for (const clvi_item *row = table->first; row; row = row->next) {
        put_padding(out, indent);
        for (size_t i = 0; i < n; i++) {
            const clvi_item *cell = clvi_item_child(row, columns[i].key, strlen(columns[i].key));
            put_cell(out, &columns[i], cell ? scalar(cell, number) : "");
        }
        end_line(out);
    }
}

/* Scalars first as "name: value", values aligned; then objects and tables under their names. */
static void put_object(clvi_str *out, const clvi_item *object, size_t indent)
{
    char number[CLVI_NUMBER_SIZE];
    size_t widest = 0;
    for (const clvi_item *child = object->first; child; child = child->next)
        if (is_scalar(child) && width(child->key) > widest)
            widest = width(child->key);
    for (const clvi_item *child = object->first; child; child = child->next) {
        if (!is_scalar(child))
            continue;
        put_padding(out, indent);
        put_clean(out, child->key);
        clvi_str_puts(out, ":");
        put_padding(out, widest - width(child->key) + 1);
        put_clean(out, scalar(child, number));
        clvi_str_puts(out, "\n");
    }
    for (const clvi_item *child = object->first; child; child = child->next) {
        if (is_scalar(child) || !child->first || child->hidden)
            continue;
        clvi_str_puts(out, indent == 0 && out->size ? "\n" : "");
        put_padding(out, indent);
        put_clean(out, child->key);
        clvi_str_puts(out, "\n");
        if (child->kind == CLVI_ITEM_TABLE)
            put_table(out, child, indent + 2);
        else
            put_object(out, child, indent + 2);
    }
}

clv_status clv_report_print(const clv_report *report, FILE *to, clv_error *err)
{
    clvi_str out = {0};
    clv_status st = clvi_report_check(report, err);
    if (st != CLV_OK)
        return st;
    put_object(&out, report->root, 0);
    if (out.failed)
        st = FAIL(err, CLV_ERR_NOMEM, "text of the report");
    else if (out.size && fwrite(out.text, 1, out.size, to) != out.size)
        st = FAIL(err, CLV_ERR_IO, "cannot print the report: %s", strerror(errno));
    clvi_str_free(&out);
    return st;
}
