/* SPDX-License-Identifier: Apache-2.0 */
/* The table at the end of a compression: original, compressed, healed. */
#ifndef CLEAVE_CLI_SUMMARY_H
#define CLEAVE_CLI_SUMMARY_H

#include "app.h"

/* What the report of the app has of "before", "after", "healed", "agreement", "healing" and "speed", on stdout. */
void summary_print(const app *a);

/* The same as Markdown; `command` is what was run. The file is replaced. */
clv_status summary_write(app *a, const char *path, const char *command);

#endif
