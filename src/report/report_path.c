/* SPDX-License-Identifier: Apache-2.0 */
/* Adding to a report by dotted paths. */
#include <string.h>

#include "report/item.h"

#define LONGEST_KEY 128

static bool is_number(const char *key)
{
    return *key && strspn(key, "0123456789") == strlen(key);
}

/* The next part of a path into key[LONGEST_KEY]; false when there is none or it is too long. */
static bool next_key(const char **path, char key[LONGEST_KEY])
{
    const size_t n = strcspn(*path, ".");
    if (n == 0 || n >= LONGEST_KEY)
        return false;
    memcpy(key, *path, n);
    key[n] = '\0';
    *path += n + ((*path)[n] == '.');
    return true;
}

/* The child `key` of item as a table or an object; NULL when something else is there, or the row is not the next. */
static clvi_item *step(clvi_item *item, const char *key, bool table)
{
    clvi_item *child = (clvi_item *)clvi_item_child(item, key, strlen(key));
    if (child)
        return child->kind == (table ? CLVI_ITEM_TABLE : CLVI_ITEM_OBJECT) ? child : NULL;
    if (item->kind == CLVI_ITEM_TABLE && is_number(key)) {
        size_t rows = 0, row = 0;
        for (const char *digit = key; *digit; digit++)
            row = row * 10 + (size_t)(*digit - '0');
        for (const clvi_item *r = item->first; r; r = r->next)
            rows++;
        return row == rows && !table ? clvi_report_row(item) : NULL;
    }
    if (item->kind != CLVI_ITEM_OBJECT)
        return NULL;
    return table ? clvi_report_table(item, key) : clvi_report_object(item, key);
}

/* The object that holds the last part of the path, and that part in key. */
static clv_status descend(clvi_item **item, char key[LONGEST_KEY], clv_report *report, const char *path, clv_error *err)
{
    const char *left = path;
    *item = report->root;
    bool fits = next_key(&left, key) && !is_number(key);
    while (fits && *left) {
        char next[LONGEST_KEY];
        fits = next_key(&left, next);
        if (!fits)
            break;
        *item = step(*item, key, is_number(next));
        fits = *item != NULL;
        memcpy(key, next, sizeof next);
    }
    if (report->failed)
        return FAIL(err, CLV_ERR_NOMEM, "report");
    if (!fits || (*item)->kind != CLVI_ITEM_OBJECT)
        return FAIL(err, CLV_ERR_ARG, "\"%s\" is no place in this report", path);
    return CLV_OK;
}

clv_status clv_report_set_int(clv_report *report, const char *path, int64_t value, clv_error *err)
{
    clvi_item *item;
    char key[LONGEST_KEY];
    TRY(descend(&item, key, report, path, err));
    clvi_report_int(item, key, value);
    return clvi_report_check(report, err);
}

clv_status clv_report_set_real(clv_report *report, const char *path, double value, int digits, clv_error *err)
{
    clvi_item *item;
    char key[LONGEST_KEY];
    TRY(descend(&item, key, report, path, err));
    clvi_report_real(item, key, value, digits);
    return clvi_report_check(report, err);
}

clv_status clv_report_set_text(clv_report *report, const char *path, const char *value, clv_error *err)
{
    clvi_item *item;
    char key[LONGEST_KEY];
    TRY(descend(&item, key, report, path, err));
    clvi_report_text(item, key, value);
    return clvi_report_check(report, err);
}
