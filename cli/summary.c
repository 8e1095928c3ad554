/* SPDX-License-Identifier: Apache-2.0 */
#include "summary.h"

#include <stdio.h>
#include <string.h>

#define MAX_ROWS 16
#define COLUMNS  5 /* name, original, compressed, healed, what that means */
#define CELL     64

typedef struct table {
    char cell[MAX_ROWS][COLUMNS][CELL];
    size_t n;
    bool healed; /* there is a third model */
} table;

static bool number(const app *a, const char *path, double *out)
{
    return clv_report_number(a->report, path, out, NULL) == CLV_OK;
}

/* A new row; its cells are empty. NULL: no room. */
static char (*add_row(table *t, const char *name))[CELL]
{
    if (t->n == MAX_ROWS)
        return NULL;
    char(*const row)[CELL] = t->cell[t->n++];
    (void)snprintf(row[0], CELL, "%s", name);
    return row;
}

/* "40.6 M" */
static void unit_text(char text[CELL], double x)
{
    static const char letters[] = {'k', 'M', 'G', 'T'};
    int i = -1;
    for (; x >= 1000 && i < 3; i++)
        x /= 1000;
    if (i < 0)
        (void)snprintf(text, CELL, "%.0f", x);
    else
        (void)snprintf(text, CELL, "%.2f %c", x, letters[i]);
}

static void add_size(table *t, const app *a, const char *name, const char *key, const char *word)
{
    char path[48];
    double before, after;
    (void)snprintf(path, sizeof path, "before.%s", key);
    if (!number(a, path, &before) || before <= 0)
        return;
    (void)snprintf(path, sizeof path, "after.%s", key);
    if (!number(a, path, &after) || after <= 0)
        return;
    char(*const row)[CELL] = add_row(t, name);
    if (!row)
        return;
    unit_text(row[1], before);
    unit_text(row[2], after);
    if (t->healed)
        unit_text(row[3], after);
    (void)snprintf(row[4], CELL, "%.2fx %s", before / after, word);
}

static void percent(const app *a, char text[CELL], const char *path)
{
    double value;
    if (number(a, path, &value))
        (void)snprintf(text, CELL, "%.2f %%", value);
}

static void add_accuracy(table *t, const app *a)
{
    double before, after, error;
    char(*row)[CELL];
    const bool judged = number(a, t->healed ? "healed.top1" : "after.top1", &after);
    if (judged && number(a, "before.top1", &before) && (row = add_row(t, "top-1"))) {
        percent(a, row[1], "before.top1");
        percent(a, row[2], "after.top1");
        percent(a, row[3], "healed.top1");
        if (number(a, t->healed ? "healed.top1_change_standard_error" : "agreement.top1_change_standard_error", &error))
            (void)snprintf(row[4], CELL, "%+.2f points, standard error %.2f", after - before, error);
    }
    if (number(a, "agreement.same_class", &after) && (row = add_row(t, "same class as the original"))) {
        percent(a, row[2], "agreement.same_class");
        percent(a, row[3], "healed.same_class");
    } else if (number(a, "healing.agreement_before", &after) &&
               (row = add_row(t, "same class as the original, held out"))) {
        percent(a, row[2], "healing.agreement_before");
        percent(a, row[3], "healing.agreement_after");
    }
}

/* A budget of time: what was asked for, as it was measured. */
static void add_latency(table *t, const app *a)
{
    double before, after, predicted, threads;
    char(*row)[CELL];
    if (!number(a, "latency.before_ms", &before) || !number(a, "latency.threads", &threads) ||
        (!number(a, "latency.after_ms", &after) && !number(a, "latency.planned_ms", &after)) || after <= 0 ||
        !(row = add_row(t, "")))
        return;
    (void)snprintf(row[0], CELL, "ms, 1 image, %.0f thread%s", threads, threads > 1 ? "s" : "");
    (void)snprintf(row[1], CELL, "%.4g", before);
    (void)snprintf(row[2], CELL, "%.4g", after);
    (void)snprintf(row[4], CELL, "%.2fx faster", before / after);
    if (number(a, "latency.predicted_ms", &predicted))
        (void)snprintf(row[4], CELL, "%.2fx faster; predicted %.4g ms", before / after, predicted);
}

static void add_speeds(table *t, const app *a)
{
    for (int i = 0;; i++) {
        char path[48];
        double value[5];
        static const char *const keys[5] = {"original_ms", "result_ms", "times_faster", "least", "most"};
        (void)snprintf(path, sizeof path, "speed.%d.original_in", i);
        const char *const before = clv_report_string(a->report, path);
        (void)snprintf(path, sizeof path, "speed.%d.result_in", i);
        const char *const after = clv_report_string(a->report, path);
        if (!before || !after)
            return;
        for (int k = 0; k < 5; k++) {
            (void)snprintf(path, sizeof path, "speed.%d.%s", i, keys[k]);
            if (!number(a, path, &value[k]))
                return;
        }
        double threads = 1, batch = 1;
        (void)snprintf(path, sizeof path, "speed.%d.threads", i);
        (void)number(a, path, &threads);
        (void)snprintf(path, sizeof path, "speed.%d.batch", i);
        (void)number(a, path, &batch);
        char(*const row)[CELL] = add_row(t, "");
        if (!row)
            return;
        const bool same = strcmp(before, after) == 0;
        (void)snprintf(row[0], CELL, "ms, %.0f image%s, %.0f thread%s, %.14s%s%.14s", batch, batch > 1 ? "s" : "",
                       threads, threads > 1 ? "s" : "", before, same ? "" : " to ", same ? "" : after);
        (void)snprintf(row[1], CELL, "%.3f", value[0]);
        (void)snprintf(row[t->healed ? 3 : 2], CELL, "%.3f", value[1]);
        (void)snprintf(row[4], CELL, "%.2fx faster (%.2f to %.2f)", value[2], value[3], value[4]);
    }
}

static void fill(table *t, const app *a)
{
    double x;
    memset(t, 0, sizeof *t);
    t->healed = number(a, "healed.top1", &x) || number(a, "healing.steps", &x);
    (void)add_row(t, "");
    (void)snprintf(t->cell[0][1], CELL, "original");
    (void)snprintf(t->cell[0][2], CELL, "compressed");
    if (t->healed)
        (void)snprintf(t->cell[0][3], CELL, "healed");
    add_latency(t, a);
    add_size(t, a, "MACs", "macs", "fewer");
    add_size(t, a, "parameters", "parameters", "fewer");
    add_size(t, a, "bytes of the file", "file_bytes", "fewer");
    add_accuracy(t, a);
    add_speeds(t, a);
}

void summary_print(const app *a)
{
    table t;
    size_t width[COLUMNS] = {0};
    fill(&t, a);
    for (size_t r = 0; r < t.n; r++)
        for (int c = 0; c < COLUMNS; c++)
            width[c] = strlen(t.cell[r][c]) > width[c] ? strlen(t.cell[r][c]) : width[c];
    (void)putchar('\n');
    for (size_t r = 0; r < t.n; r++) {
        (void)printf("%-*s", (int)width[0], t.cell[r][0]);
        for (int c = 1; c < 4; c++)
            if (width[c])
                (void)printf("  %*s", (int)width[c], t.cell[r][c]);
        (void)printf("%s%s\n", t.cell[r][4][0] ? "  " : "", t.cell[r][4]);
    }
}

clv_status summary_write(app *a, const char *path, const char *command)
{
    table t;
    fill(&t, a);
    FILE *const f = fopen(path, "w");
    if (!f)
        return app_fail(a, CLV_ERR_IO, "cannot write \"%s\"", path);
    (void)fprintf(f, "`%s`\n\n", command);
    for (size_t r = 0; r < t.n; r++) {
        (void)fprintf(f, "| %s |", t.cell[r][0]);
        for (int c = 1; c < COLUMNS; c++)
            if (c != 3 || t.healed)
                (void)fprintf(f, " %s |", t.cell[r][c]);
        (void)fputc('\n', f);
        if (r == 0)
            (void)fputs(t.healed ? "| --- | ---: | ---: | ---: | --- |\n" : "| --- | ---: | ---: | --- |\n", f);
    }
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad)
        return app_fail(a, CLV_ERR_IO, "cannot write \"%s\"", path);
    return CLV_OK;
}
