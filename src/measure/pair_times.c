/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/pair_times.h"

#define BLOCK_RUNS 3

/* A block after a run that is not counted: it brings weights and activations back into the caches. *seconds: that
 * percentile of it. */
static clv_status time_block(double *seconds, clvi_bench_job *job, double block_seconds, double percent,
                             clvi_times *all, clv_error *err)
{
    clvi_times warm = {0}, block = {0};
    clv_status st = clvi_bench_job_time(job, 1, 0, &warm, err);
    if (st == CLV_OK)
        st = clvi_bench_job_time(job, BLOCK_RUNS, block_seconds, &block, err);
    for (size_t i = 0; st == CLV_OK && i < block.n; i++)
        st = clvi_times_add(all, block.seconds[i], err);
    if (st == CLV_OK) {
        clvi_times_sort(&block);
        *seconds = clvi_times_percentile(&block, percent);
    }
    clvi_times_free(&warm);
    clvi_times_free(&block);
    return st;
}

clv_status clvi_pair_measure(clvi_pair_times *out, clvi_bench_job *a, clvi_bench_job *b, int rounds, double block,
                             double percent, clv_error *err)
{
    clvi_times all_a = {0}, all_b = {0}, ratios = {0};
    clv_status st = CLV_OK;
    for (int i = 0; i < rounds && st == CLV_OK; i++) {
        double of_a = 0, of_b = 0;
        st = time_block(&of_a, a, block, percent, &all_a, err);
        if (st == CLV_OK)
            st = time_block(&of_b, b, block, percent, &all_b, err);
        if (st == CLV_OK)
            st = clvi_times_add(&ratios, of_b / of_a, err);
    }
    if (st == CLV_OK) {
        clvi_times_sort(&all_a);
        clvi_times_sort(&all_b);
        clvi_times_sort(&ratios);
        *out = (clvi_pair_times){.a = clvi_times_percentile(&all_a, percent),
                                 .b = clvi_times_percentile(&all_b, percent),
                                 .ratio = clvi_times_percentile(&ratios, 50),
                                 .least = ratios.seconds[0],
                                 .most = ratios.seconds[ratios.n - 1]};
    }
    clvi_times_free(&all_a);
    clvi_times_free(&all_b);
    clvi_times_free(&ratios);
    return st;
}
