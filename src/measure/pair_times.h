/* SPDX-License-Identifier: Apache-2.0 */
/* Two networks timed in turns, so that both see the same machine. */
#ifndef CLVI_MEASURE_PAIR_TIMES_H
#define CLVI_MEASURE_PAIR_TIMES_H

#include "measure/bench_job.h"

typedef struct clvi_pair_times {
    double a, b;        /* seconds: this percentile of all runs */
    double ratio;       /* b / a: the median over the rounds of the ratio of their percentiles */
    double least, most; /* of the rounds */
} clvi_pair_times;

/* `rounds` times a block of each, of at least 3 runs and `block` seconds; percent: 50 is the median. Both jobs are
 * warm. */
clv_status clvi_pair_measure(clvi_pair_times *out, clvi_bench_job *a, clvi_bench_job *b, int rounds, double block,
                             double percent, clv_error *err);

#endif
