/* SPDX-License-Identifier: Apache-2.0 */
/* bench_session MODEL [--threads=N] [--batch=N] [--extent=N] [--cpu=LEVEL] [--runs=N] [--profile] [--as-is]: one
 * network end to end on random input: ms, images/s, GFLOP/s (2 per multiply-add) and share of the FMA peak measured
 * here. The folding passes run first unless --as-is. --profile adds a table by kernel and the slowest steps, with the
 * bytes that each must at least move. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "measure/machine.h"
#include "onnx/onnx.h"
#include "runtime/passes.h"
#include "runtime/profile.h"

#define MAX_RUNS   999
#define MAX_VALUES 16
#define SLOWEST    40

typedef struct options {
    const char *model;
    clv_context_opts context;
    int batch, extent, runs;
    bool profile, as_is;
} options;

typedef struct cost {
    const char *name;
    size_t nodes;
    double seconds, macs, bytes;
} cost;

static bool parse(options *o, int argc, char **argv)
{
    *o = (options){.context = clv_context_opts_default(), .batch = 64, .extent = 224, .runs = 15};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--cpu=", 6) == 0)
            o->context.isa = argv[i] + 6;
        else if (strcmp(argv[i], "--profile") == 0)
            o->profile = true;
        else if (strcmp(argv[i], "--as-is") == 0)
            o->as_is = true;
        else if (argv[i][0] != '-' && !o->model)
            o->model = argv[i];
        else if (sscanf(argv[i], "--threads=%d", &o->context.threads) != 1 &&
                 sscanf(argv[i], "--batch=%d", &o->batch) != 1 && sscanf(argv[i], "--extent=%d", &o->extent) != 1 &&
                 sscanf(argv[i], "--runs=%d", &o->runs) != 1)
            return false;
    }
    return o->model && o->batch > 0 && o->extent > 0 && o->runs > 0 && o->runs <= MAX_RUNS;
}

/* Normal numbers for every float input. Gives the data. */
static bool make_inputs(const clvi_graph *graph, const options *o, clv_tensor *inputs)
{
    clvi_rng rng;
    clvi_rng_seed(&rng, 1);
    clvi_default_inputs(graph, o->batch, o->extent, inputs);
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const int64_t n = clv_tensor_count(&inputs[i]);
        if (n < 0 || inputs[i].dtype != CLV_FLOAT32 || !(inputs[i].data = clvi_alloc_array((size_t)n, sizeof(float))))
            return false;
        for (int64_t j = 0; j < n; j++)
            ((float *)inputs[i].data)[j] = (float)clvi_rng_normal(&rng);
    }
    return true;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int slower_first(const void *a, const void *b)
{
    const cost *const x = a, *const y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void print_costs(const char *title, cost *list, size_t n, double total, double peak_rate)
{
    printf("\n%-60s %5s %9s %7s %9s %7s %7s\n", title, "steps", "ms", "share", "GFLOP/s", "peak", "GB/s");
    qsort(list, n, sizeof *list, slower_first);
    for (size_t i = 0; i < n && i < SLOWEST; i++) {
        const double rate = list[i].seconds > 0 ? 2e-9 * list[i].macs / list[i].seconds : 0;
        if (list[i].seconds > 0)
            printf("%-60.60s %5zu %9.3f %6.1f%% %9.1f %6.1f%% %7.1f\n", list[i].name, list[i].nodes,
                   list[i].seconds * 1e3, 100 * list[i].seconds / total, rate, 100 * rate / peak_rate,
                   1e-9 * list[i].bytes / list[i].seconds);
    }
}

static void add_cost(cost *to, const clvi_profile_row *row)
{
    to->nodes++;
    to->seconds += row->least;
    to->macs += (double)row->macs;
    to->bytes += (double)row->bytes;
}

/* Per kernel and per step, from the fastest run of each step. */
static void print_profile(const clvi_session *session, double peak_rate)
{
    const size_t n = clvi_session_profile(session, NULL, 0);
    clvi_profile_row *const rows = clvi_calloc(n, sizeof *rows);
    cost *const step = clvi_calloc(n, sizeof *step), *const kernel = clvi_calloc(n, sizeof *kernel);
    size_t kernels = 0;
    double total = 0;
    (void)clvi_session_profile(session, rows, rows ? n : 0);
    for (size_t i = 0; i < n && rows && step && kernel; i++) {
        size_t k = 0;
        while (k < kernels && strcmp(kernel[k].name, rows[i].kernel) != 0)
            k++;
        if (k == kernels)
            kernel[kernels++].name = rows[i].kernel;
        step[i].name = rows[i].nodes;
        add_cost(&step[i], &rows[i]);
        add_cost(&kernel[k], &rows[i]);
        total += step[i].seconds;
    }
    if (rows && step && kernel) {
        printf("sum of the steps' minima: %.3f ms\n", total * 1e3);
        print_costs("kernel", kernel, kernels, total, peak_rate);
        print_costs("step", step, n, total, peak_rate);
    }
    clvi_free(rows);
    clvi_free(step);
    clvi_free(kernel);
}

static void print_result(const options *o, const clv_context *context, double *seconds, double macs, double peak_rate,
                         size_t peak_bytes)
{
    qsort(seconds, (size_t)o->runs, sizeof *seconds, ascending);
    const double median = seconds[o->runs / 2], rate = 2e-9 * macs / median;
    printf("%s: batch %d, %d thread(s), %s, %d runs\n", o->model, o->batch, clv_context_threads(context),
           clv_context_isa(context), o->runs);
    printf("%.3f ms median (%.3f to %.3f), %.0f images/s, %.1f MB of activations\n", median * 1e3, seconds[0] * 1e3,
           seconds[o->runs - 1] * 1e3, o->batch / median, 1e-6 * (double)peak_bytes);
    printf("%.1f million multiply-adds per image, %.1f GFLOP/s, %.1f %% of the measured FMA peak of %.1f GFLOP/s\n",
           1e-6 * macs / o->batch, rate, 100 * rate / peak_rate, peak_rate);
}

static clv_status bench(const options *o, clv_context *context, const clvi_graph *graph, clv_tensor *inputs,
                        clv_error *err)
{
    static double seconds[MAX_RUNS];
    clv_tensor outputs[MAX_VALUES];
    clvi_session *session = NULL;
    clvi_shapes shapes = {0};
    const clvi_session_opts opts = {.profile = o->profile};
    const clvi_kernels kernels = clvi_kernels_for(context->cpu);
    double macs = 0;
    clv_status st = clvi_shapes_infer(&shapes, graph, inputs, graph->n_inputs, err);
    if (st == CLV_OK)
        st = clvi_session_create(&session, graph, &opts, context, err);
    const double peak_rate = 2e-9 * clvi_machine_fma(&kernels, context->pool);
    for (int i = -1; i < o->runs && st == CLV_OK; i++) { /* run -1 plans and warms up */
        const double start = clvi_now();
        st = clvi_session_run(session, inputs, graph->n_inputs, outputs, err);
        seconds[i < 0 ? 0 : i] = clvi_now() - start;
    }
    for (size_t i = 0; i < graph->n_nodes && st == CLV_OK; i++)
        macs += (double)shapes.macs[i];
    if (st == CLV_OK)
        print_result(o, context, seconds, macs, peak_rate, clvi_session_peak_bytes(session));
    if (st == CLV_OK && o->profile)
        print_profile(session, peak_rate);
    clvi_session_free(session);
    clvi_shapes_free(&shapes);
    return st;
}

int main(int argc, char **argv)
{
    options o;
    clv_error err = {0};
    clv_context *context = NULL;
    clvi_graph *graph = NULL;
    clv_tensor inputs[MAX_VALUES] = {{0}};
    if (!parse(&o, argc, argv)) {
        (void)fprintf(stderr,
                      "usage: bench_session MODEL [--threads=N] [--batch=N] [--extent=N] [--cpu=LEVEL] [--runs=N] "
                      "[--profile] [--as-is]\n");
        return 2;
    }
    clv_status st = clv_context_create(&context, &o.context, &err);
    if (st == CLV_OK)
        st = clvi_onnx_read(&graph, o.model, &err);
    if (st == CLV_OK && !o.as_is && (st = clvi_pass_fold_constants(graph, &err)) == CLV_OK)
        st = clvi_pass_fold_batchnorm(graph, &err);
    if (st == CLV_OK &&
        (graph->n_inputs > MAX_VALUES || graph->n_outputs > MAX_VALUES || !make_inputs(graph, &o, inputs)))
        st =
            FAIL(&err, CLV_ERR_UNSUP, "at most %d float32 inputs and outputs of known rank can be made up", MAX_VALUES);
    if (st == CLV_OK)
        st = bench(&o, context, graph, inputs, &err);
    for (size_t i = 0; i < MAX_VALUES; i++)
        clvi_free(inputs[i].data);
    clvi_graph_free(graph);
    clv_context_free(context);
    if (st == CLV_OK)
        return 0;
    (void)fprintf(stderr, "bench_session: %s: %s\n", clv_status_text(st), err.msg);
    return 1;
}
