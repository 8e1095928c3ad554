/* SPDX-License-Identifier: Apache-2.0 */
/* A report as JSON (RFC 8259). */
#include <inttypes.h>

#include "base/file.h"
#include "base/str.h"
#include "report/item.h"
#include "report/number.h"

#define SCHEMA 1 /* raised when a key changes its meaning */

/* Length of the UTF-8 sequence at s, 0 when it is malformed (RFC 3629, table 3-7 of the Unicode standard). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    const size_t n = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
                     : (s[0] & 0xF0) == 0xE0        ? 3
                     : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                    : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static void put_string(clvi_str *out, const char *text)
{
    clvi_str_puts(out, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const size_t n = utf8_length(s);
        if (n == 0)
            clvi_str_puts(out, "\\ufffd");
        else if (*s == '"' || *s == '\\')
            clvi_str_printf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            clvi_str_printf(out, "\\u%04x", *s);
        else
            clvi_str_append(out, s, n);
        s += n ? n : 1;
    }
    clvi_str_puts(out, "\"");
}

static void put_value(clvi_str *out, const clvi_item *item, int depth);

static void put_children(clvi_str *out, const clvi_item *item, int depth)
{
    const bool object = item->kind == CLVI_ITEM_OBJECT;
    const bool flat = object && !item->key && depth > 0; /* a row stands on one line */
    const char *separator = "";
    clvi_str_puts(out, object ? "{" : "[");
    if (depth == 0) {
        clvi_str_printf(out, "\n  \"schema\": %d", SCHEMA);
        separator = ",";
    }
    for (const clvi_item *child = item->first; child; child = child->next) {
        clvi_str_puts(out, separator);
        if (flat)
            clvi_str_puts(out, *separator ? " " : "");
        else
            clvi_str_printf(out, "\n%*s", 2 * (depth + 1), "");
        if (object) {
            put_string(out, child->key);
            clvi_str_puts(out, ": ");
        }
        put_value(out, child, depth + 1);
        separator = ",";
    }
    if (*separator && !flat)
        clvi_str_printf(out, "\n%*s", 2 * depth, "");
    clvi_str_puts(out, object ? "}" : "]");
}

static void put_value(clvi_str *out, const clvi_item *item, int depth)
{
    char number[CLVI_NUMBER_SIZE];
    switch (item->kind) {
    case CLVI_ITEM_OBJECT:
    case CLVI_ITEM_TABLE:
        put_children(out, item, depth);
        break;
    case CLVI_ITEM_INT:
        clvi_str_printf(out, "%" PRId64, item->integer);
        break;
    case CLVI_ITEM_REAL:
        clvi_number_exact(number, item->real);
        clvi_str_puts(out, number);
        break;
    case CLVI_ITEM_TEXT:
        put_string(out, item->text);
        break;
    case CLVI_ITEM_BOOL:
        clvi_str_puts(out, item->integer ? "true" : "false");
        break;
    }
}

clv_status clv_report_write_json(const clv_report *report, const char *path, clv_error *err)
{
    clvi_str out = {0};
    clv_status st = clvi_report_check(report, err);
    if (st != CLV_OK)
        return st;
    put_value(&out, report->root, 0);
    clvi_str_puts(&out, "\n");
    st = out.failed ? FAIL(err, CLV_ERR_NOMEM, "text of \"%s\"", path)
                    : clvi_file_replace(path, out.text, out.size, err);
    clvi_str_free(&out);
    return st;
}
