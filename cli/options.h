/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options as a table: parsing, --help, and messages that say what was meant. */
#ifndef CLEAVE_CLI_OPTIONS_H
#define CLEAVE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE   2
#define PARSED       (-1) /* parse_options: go on */
#define MAX_REPEATED 256

typedef enum option_kind {
    OPTION_FLAG, /* bool, set to true */
    OPTION_TEXT, /* const char * */
    OPTION_INT,  /* int64_t, >= 0 */
    OPTION_REAL, /* double, finite */
    OPTION_TEXTS /* texts; may be given more than once */
} option_kind;

typedef struct texts {
    const char *item[MAX_REPEATED];
    size_t n;
} texts;

typedef struct option {
    char letter; /* 'o' for -o, or 0 */
    const char *name;
    const char *argument; /* "FILE"; NULL for a flag */
    const char *help;     /* one line, or several separated by \n */
    option_kind kind;
    void *to; /* where the value goes, as the kind says */
} option;

/* A verb of the command, and all its help says. */
typedef struct verb {
    const char *name;
    const char *summary;  /* one line */
    const char *synopsis; /* "MODEL.onnx --data PATH [options]" */
    const char *about;    /* some lines */
    const char *examples; /* lines */
    bool shared;          /* the ranks of an MPI job share the work (cleave/ranks.h) */
    int (*run)(const struct verb *verb, int argc, char **argv);
} verb;

/* argv[0] is the verb. Options and words may stand in any order; "--" ends the options. words[max_words] receives what
 * is no option. Returns PARSED, or the exit status: 0 after --help, EXIT_USAGE after a message on stderr. */
int parse_options(const verb *v, const option *options, size_t n, int argc, char **argv, const char **words,
                  size_t max_words, size_t *n_words);

/* A message about the use of the verb on stderr; returns EXIT_USAGE. */
int usage_error(const verb *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The number of single-character edits between two words, or more than `limit`. */
size_t edit_distance(const char *a, const char *b, size_t limit);

#endif
