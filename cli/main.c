/* SPDX-License-Identifier: Apache-2.0 */
/* cleave VERB ...: find the verb, run it. */
#include <stdio.h>
#include <string.h>

#include "cleave/cleave.h"
#include "verbs.h"

static const verb *const verbs[] = {&verb_inspect, &verb_compress, &verb_frontier, &verb_stats, &verb_eval,
                                    &verb_run,     &verb_diff,     &verb_synth,    &verb_new,   &verb_bench,
                                    &verb_heal,    &verb_train,    &verb_plan};
#define VERBS (sizeof verbs / sizeof *verbs)

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static void print_usage(FILE *to)
{
    (void)fprintf(to,
                  "cleave %s: makes trained convolutional networks cheaper, without training them again\n\n"
                  "usage: cleave VERB ...\n\n",
                  clv_version());
    for (size_t i = 0; i < VERBS; i++)
        (void)fprintf(to, "  %-10s%s\n", verbs[i]->name, verbs[i]->summary);
    (void)fputs("  help      explain a verb: cleave help compress\n"
                "  version   print the version\n\n"
                "exit status: 0 done, 1 failure, 2 wrong use, 3 bad or unsupported model, 4 budget unreachable,\n"
                "             5 verification or accuracy floor failed, 130 interrupted\n",
                to);
}

static int unknown_verb(const char *name)
{
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < VERBS; i++) {
        const size_t d = edit_distance(verbs[i]->name, name, best);
        if (d < best) {
            best = d;
            nearest = verbs[i]->name;
        }
    }
    (void)fprintf(stderr, "cleave: unknown verb \"%s\"", name);
    if (nearest)
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest);
    (void)fputs("\n\n", stderr);
    print_usage(stderr);
    return EXIT_USAGE;
}

static int flushed(void)
{
    return fflush(stdout) == 0 ? 0 : 1;
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stdout);
        return flushed();
    }
    const verb *v = find_verb(argv[1]);
    char *words[] = {argv[1], "--help", NULL};
    return v ? v->run(v, 2, words) : unknown_verb(argv[1]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        (void)printf("cleave %s\n", clv_version());
        return flushed();
    }
    const verb *v = find_verb(name);
    return v ? v->run(v, argc - 1, argv + 1) : unknown_verb(name);
}
