/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/bench.h"

#include "base/mem.h"
#include "measure/bench_job.h"
#include "measure/bench_steps.h"
#include "measure/machine.h"

#define WARM_SECONDS 0.2
#define WARM_RUNS    2

static void report_times(const clvi_bench_job *job, clvi_times *times, const clvi_machine *machine, double macs,
                         clvi_item *item)
{
    clvi_times_sort(times);
    const double median = clvi_times_percentile(times, 50);
    const int64_t batch = job->graph->n_inputs && job->inputs[0].rank > 0 ? job->inputs[0].dims[0] : 1;
    clvi_report_int(item, "runs", (int64_t)times->n);
    clvi_report_real(item, "min_ms", 1e3 * times->seconds[0], 4);
    clvi_report_real(item, "p50_ms", 1e3 * median, 4);
    clvi_report_real(item, "p90_ms", 1e3 * clvi_times_percentile(times, 90), 4);
    clvi_report_real(item, "p99_ms", 1e3 * clvi_times_percentile(times, 99), 4);
    clvi_report_int(item, "batch", batch);
    clvi_report_real(item, "images_per_second", (double)batch / median, 1);
    clvi_report_real(item, "gflops", 2e-9 * macs / median, 1);
    clvi_report_real(item, "percent_of_fma_peak", 100 * macs / median / machine->fma, 1);
    clvi_report_real(item, "first_run_ms", 1e3 * job->first_seconds, 2);
    clvi_report_int(item, "activation_bytes", (int64_t)clvi_session_peak_bytes(job->session));
}

static clv_status report_layers(clvi_bench_job *job, const clv_bench_opts *opts, const clvi_machine *machine,
                                clvi_item *report, clv_error *err)
{
    clvi_bench_step *steps = NULL;
    size_t n = 0;
    clv_status st = clvi_bench_steps(&steps, &n, job, opts->runs, err);
    if (st == CLV_OK && opts->trace)
        st = clvi_trace_write(steps, n, opts->trace, err);
    if (st == CLV_OK && opts->layers)
        clvi_report_steps(steps, n, machine, clv_context_threads(job->context), clvi_report_table(report, "layers"));
    clvi_free(steps);
    return st;
}

clv_status clvi_bench(const clvi_graph *graph, const clv_bench_opts *opts, clv_context *context, clvi_item *report,
                      clv_error *err)
{
    clvi_bench_job job;
    clvi_machine machine;
    clvi_times times = {0};
    clvi_count count = {0};
    clv_status st = clvi_bench_job_create(&job, graph, opts, context, err);
    if (st == CLV_OK)
        st = clvi_machine_measure(&machine, context, err);
    if (st == CLV_OK)
        st = clvi_bench_job_time(&job, WARM_RUNS, WARM_SECONDS, &times, err);
    times.n = 0;
    if (st == CLV_OK)
        st = clvi_bench_job_time(&job, opts->runs, opts->seconds, &times, err);
    if (st == CLV_OK) {
        clvi_report_machine(&machine, context, clvi_report_object(report, "machine"));
        st = clvi_bench_job_report(&job, &count, clvi_report_object(report, "model"), err);
    }
    if (st == CLV_OK)
        report_times(&job, &times, &machine, (double)count.macs, clvi_report_object(report, "time"));
    if (st == CLV_OK && (opts->layers || opts->trace))
        st = report_layers(&job, opts, &machine, report, err);
    clvi_times_free(&times);
    clvi_bench_job_free(&job);
    return st;
}
