/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the command, one file each: cmd_<verb>.c. */
#ifndef CLEAVE_CLI_VERBS_H
#define CLEAVE_CLI_VERBS_H

#include "options.h"

extern const verb verb_inspect, verb_compress, verb_eval, verb_run, verb_diff, verb_synth, verb_stats, verb_frontier,
    verb_new, verb_bench, verb_heal, verb_train, verb_plan;

#endif
