/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_WORD 64

int usage_error(const verb *v, const char *format, ...)
{
    va_list args;
    (void)fprintf(stderr, "cleave %s: ", v->name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\nusage: cleave %s %s\n       cleave %s --help explains it\n", v->name, v->synopsis,
                  v->name);
    return EXIT_USAGE;
}

size_t edit_distance(const char *a, const char *b, size_t limit)
{
    const size_t n = strlen(a), m = strlen(b);
    size_t row[LONGEST_WORD + 1];
    if (n > LONGEST_WORD || m > LONGEST_WORD)
        return limit + 1;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = row[j - 1] < row[j] ? row[j - 1] : row[j];
            diagonal = row[j];
            row[j] = change < shorter + 1 ? change : shorter + 1;
        }
    }
    return row[m];
}

static void print_option(const option *o)
{
    char left[64];
    (void)snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                   o->letter ? "," : " ", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    (void)printf("  %-32s", left);
    if (strlen(left) > 31)
        (void)printf("\n  %-32s", "");
    for (const char *p = o->help; *p; p++)
        if (*p == '\n')
            (void)printf("\n  %-32s", "");
        else
            (void)putchar(*p);
    (void)putchar('\n');
}

static int print_help(const verb *v, const option *options, size_t n)
{
    (void)printf("cleave %s: %s\n\nusage: cleave %s %s\n\n%s\noptions:\n", v->name, v->summary, v->name, v->synopsis,
                 v->about);
    for (size_t i = 0; i < n; i++)
        print_option(&options[i]);
    (void)printf("  %-32sthis text\n\nexamples:\n%s", "-h, --help", v->examples);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* The option called `name` (n characters), else NULL. */
static const option *find_option(const option *options, size_t n_options, const char *name, size_t n)
{
    for (size_t i = 0; i < n_options; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

static int unknown_option(const verb *v, const option *options, size_t n_options, const char *word)
{
    const char *nearest = NULL;
    char name[LONGEST_WORD + 1];
    size_t best = 4;
    const char *start = word + strspn(word, "-");
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    for (size_t i = 0; i < n_options; i++) {
        const bool begins = strlen(name) > 2 && strncmp(options[i].name, name, strlen(name)) == 0;
        const size_t d = begins ? 0 : edit_distance(options[i].name, name, best);
        if (d < best && (begins || d < strlen(options[i].name))) {
            best = d;
            nearest = options[i].name;
        }
    }
    if (nearest)
        return usage_error(v, "unknown option \"%s\"; did you mean --%s?", word, nearest);
    return usage_error(v, "unknown option \"%s\"", word);
}

static int store(const verb *v, const option *o, const char *value)
{
    char *end;
    errno = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->to = true;
        return PARSED;
    case OPTION_TEXT:
        *(const char **)o->to = value;
        return PARSED;
    case OPTION_TEXTS: {
        texts *list = o->to;
        if (list->n == MAX_REPEATED)
            return usage_error(v, "--%s is given more than %d times", o->name, MAX_REPEATED);
        list->item[list->n++] = value;
        return PARSED;
    }
    case OPTION_INT: {
        const long long n = strtoll(value, &end, 10);
        if (errno || end == value || *end || n < 0)
            return usage_error(v, "--%s takes a whole number from 0 on, not \"%s\"", o->name, value);
        *(int64_t *)o->to = n;
        return PARSED;
    }
    case OPTION_REAL: {
        const double x = strtod(value, &end);
        if (end == value || *end || !isfinite(x))
            return usage_error(v, "--%s takes a number, not \"%s\"", o->name, value);
        *(double *)o->to = x;
        return PARSED;
    }
    }
    return PARSED;
}

/* One word that begins with "-", whose value may be the next one: *used says how many words were taken. */
static int take_option(const verb *v, const option *options, size_t n, char **word, int left, int *used)
{
    const char *text = word[0], *value = NULL;
    const option *o = NULL;
    if (text[1] == '-') {
        const size_t length = strcspn(text + 2, "=");
        o = find_option(options, n, text + 2, length);
        value = text[2 + length] == '=' ? text + 2 + length + 1 : NULL;
    } else {
        for (size_t i = 0; i < n && !o; i++)
            if (options[i].letter && options[i].letter == text[1])
                o = &options[i];
        value = text[2] ? text + 2 : NULL;
    }
    *used = 1;
    if (!o || (o->kind == OPTION_FLAG && text[1] != '-' && value))
        return unknown_option(v, options, n, text);
    if (o->kind == OPTION_FLAG)
        return value ? usage_error(v, "--%s takes no value", o->name) : store(v, o, NULL);
    if (!value && left < 2)
        return usage_error(v, "--%s needs a value: %s", o->name, o->argument);
    if (!value) {
        value = word[1];
        *used = 2;
    }
    return store(v, o, value);
}

int parse_options(const verb *v, const option *options, size_t n, int argc, char **argv, const char **words,
                  size_t max_words, size_t *n_words)
{
    bool only_words = false;
    *n_words = 0;
    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        if (!only_words && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
            return print_help(v, options, n);
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            i++;
        } else if (!only_words && word[0] == '-' && word[1]) {
            int used;
            const int result = take_option(v, options, n, argv + i, argc - i, &used);
            if (result != PARSED)
                return result;
            i += used;
        } else if (*n_words == max_words) {
            return usage_error(v, "\"%s\" is one word too many", word);
        } else {
            words[(*n_words)++] = word;
            i++;
        }
    }
    return PARSED;
}
