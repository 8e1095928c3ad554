/* SPDX-License-Identifier: Apache-2.0 */
/* What several verbs do beside their job: measure accuracy into the report, read times, look at files. */
#ifndef CLEAVE_CLI_FIGURES_H
#define CLEAVE_CLI_FIGURES_H

#include "inputs.h"

typedef struct measured {
    const char *images, *labels;
    const clv_preprocess *preprocess; /* NULL: what the model says */
    const clv_model *against;         /* its original, or NULL */
} measured;

/* Put "KEY.top1" and, with an original, "KEY.agreement" and "teacher.top1" into the report of the app. */
clv_status measure(app *a, const measured *m, const clv_model *model, const char *key);

/* "90", "90s", "3m", "1.5h" -> seconds; < 0: malformed. */
double parse_time(const char *text);

/* "" or NULL -> -1; a number of pixels; < -1: malformed. */
int64_t parse_shift(const char *text);

#define SCRIPT_PATH 1024

/* Where the script for other engines is: in $CLEAVE_SHARE, or beside this program as it was built or installed. Returns
 * path. */
const char *find_rivals(char path[SCRIPT_PATH]);

/* The two names may lead to the same file: then it would be overwritten. */
bool same_file(const char *x, const char *y);

#endif
