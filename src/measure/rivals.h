/* SPDX-License-Identifier: Apache-2.0 */
/* Other inference engines in a process of their own: bench/rivals.py, which says how the two talk. */
#ifndef CLVI_MEASURE_RIVALS_H
#define CLVI_MEASURE_RIVALS_H

#include <stdio.h>
#include <sys/types.h>

#include "measure/bench_job.h"

#define CLVI_MAX_RIVALS 8

typedef struct clvi_rival {
    char name[32], version[48];
    char note[200]; /* why it cannot be run; "" when it can */
    double error;   /* largest difference over the largest output */
} clvi_rival;

typedef struct clvi_rivals {
    clvi_rival engine[CLVI_MAX_RIVALS];
    size_t n;
    /* private */
    char folder[256];
    pid_t pid;
    int fd;
    FILE *from;
} clvi_rivals;

/* Start the script for this job, whose outputs are those of its last run, with `threads` threads, and wait until every
 * engine is ready or has said why not. CLV_ERR_IO: Python or the script cannot be run. Gives what is in *rivals
 * (clvi_rivals_stop), also on failure. */
clv_status clvi_rivals_start(clvi_rivals *rivals, const clv_against_opts *opts, const clvi_bench_job *job, int threads,
                             clv_error *err);

/* Append the times of a block of `seconds` of engine `index`. */
clv_status clvi_rivals_run(clvi_rivals *rivals, size_t index, double seconds, clvi_times *times, clv_error *err);

/* End the process and remove its files. */
void clvi_rivals_stop(clvi_rivals *rivals, const clvi_bench_job *job);

#endif
