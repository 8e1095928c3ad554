/* SPDX-License-Identifier: Apache-2.0 */
/* Timing: percentiles, floors, layers, the trace; and the other engines, played by a script that says what it likes. */
#include "cli/networks.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/json_check.h"
#include "measure/bench.h"
#include "measure/bench_job.h"
#include "measure/machine.h"
#include "measure/rivals.h"

static char folder[] = "/tmp/cleave-bench-test-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][320];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && setenv("TMPDIR", folder, 1) == 0 ? 0 : -1;
}

/* What is in the folder, hidden things left out; removes it all. */
static int empty_folder(void)
{
    int n = 0;
    DIR *const d = opendir(folder);
    const struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            (void)unlink(in_folder(e->d_name));
            n++;
        }
    (void)closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)empty_folder();
    return rmdir(folder);
}

static clv_context *context_of(int threads)
{
    clv_context *context = NULL;
    const clv_context_opts opts = {.threads = threads};
    assert_int_equal(clv_context_create(&context, &opts, NULL), CLV_OK);
    return context;
}

static clv_bench_opts few_runs(void)
{
    return (clv_bench_opts){.batch = 1, .runs = 12};
}

static double number(const clv_report *report, const char *path)
{
    double x = (double)NAN;
    clv_error err = {0};
    if (clv_report_number(report, path, &x, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return x;
}

/* A report of clvi_bench (clv_report_free). */
static clv_report *bench(const clv_bench_opts *opts, int threads)
{
    clv_error err = {0};
    clv_report *report = NULL;
    clvi_graph *const g = network_residual(1);
    clv_context *const context = context_of(threads);
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    if (clvi_bench(g, opts, context, clvi_report_root(report), &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clv_context_free(context);
    clvi_graph_free(g);
    return report;
}

static void percentiles_are_by_nearest_rank(void **state)
{
    clvi_times t = {0};
    (void)state;
    for (int i = 200; i > 0; i--)
        assert_int_equal(clvi_times_add(&t, i, NULL), CLV_OK);
    clvi_times_sort(&t);
    assert_true(t.seconds[0] == 1);
    assert_true(clvi_times_percentile(&t, 50) == 100);
    assert_true(clvi_times_percentile(&t, 90) == 180);
    assert_true(clvi_times_percentile(&t, 99) == 198);
    assert_true(clvi_times_percentile(&t, 100) == 200);
    assert_true(clvi_times_percentile(&t, 0) == 1);
    t.n = 1;
    assert_true(clvi_times_percentile(&t, 50) == 1 && clvi_times_percentile(&t, 99) == 1);
    clvi_times_free(&t);
}

static void the_floor_is_the_longer_of_two(void **state)
{
    const clvi_machine m = {.fma = 100, .copy_bytes = {10, 20, 40, 80, 160, 320}, .copy_rate = {64, 32, 16, 8, 4, 2}};
    bool memory;
    (void)state;
    assert_true(clvi_machine_floor(&m, 1000, 8, 1, &memory) == 10 && !memory);
    assert_true(clvi_machine_floor(&m, 1, 8, 1, &memory) == 8 / 64.0 && memory);
    assert_true(clvi_machine_floor(&m, 0, 80, 1, &memory) == 80 / 8.0 && memory);
    assert_true(clvi_machine_floor(&m, 0, 80, 2, &memory) == 80 / 16.0 && memory); /* two caches hold it */
    assert_true(clvi_machine_floor(&m, 0, 1e6, 1, &memory) == 1e6 / 2 && memory);
    assert_true(clvi_machine_floor(&m, 0, 0, 1, &memory) == 0 && !memory);
}

static void the_machine_is_measured(void **state)
{
    clv_context *const one = context_of(1);
    clvi_machine m;
    (void)state;
    assert_int_equal(clvi_machine_measure(&m, one, NULL), CLV_OK);
    assert_true(m.fma > 1e7 && m.fma < 1e12);
    for (int i = 0; i < CLVI_COPY_SIZES; i++)
        assert_true(m.copy_rate[i] > 1e7 && m.copy_rate[i] < 1e13);
    clv_context_free(one);
}

static void a_run_is_timed(void **state)
{
    clv_bench_opts opts = few_runs();
    (void)state;
    clv_report *report = bench(&opts, 2);
    assert_true(number(report, "time.runs") == 12);
    assert_true(number(report, "time.min_ms") > 0);
    assert_true(number(report, "time.min_ms") <= number(report, "time.p50_ms"));
    assert_true(number(report, "time.p50_ms") <= number(report, "time.p90_ms"));
    assert_true(number(report, "time.p90_ms") <= number(report, "time.p99_ms"));
    assert_true(number(report, "machine.threads") == 2);
    const double macs = number(report, "model.macs"), peak = number(report, "machine.fma_gflops"),
                 rate = number(report, "time.gflops");
    assert_true(fabs(rate - 2e-6 * macs / number(report, "time.p50_ms")) < 1e-6 * rate);
    assert_true(fabs(number(report, "time.percent_of_fma_peak") - 100 * rate / peak) < 1e-6);
    assert_null(clv_report_string(report, "layers.0.layer"));
    clv_report_free(report);

    opts.batch = 3;
    opts.seconds = 0.05;
    report = bench(&opts, 1);
    assert_true(number(report, "model.macs") == 3 * macs);
    assert_true(number(report, "time.batch") == 3);
    assert_true(number(report, "time.runs") * number(report, "time.p99_ms") >= 50);
    clv_report_free(report);
}

static void layers_add_up(void **state)
{
    clv_bench_opts opts = few_runs();
    double share = 0, macs = 0, last = HUGE_VAL;
    char path[64];
    int n = 0;
    (void)state;
    opts.layers = true;
    opts.trace = in_folder("trace.json");
    clv_report *const report = bench(&opts, 1);
    for (;; n++) {
        (void)snprintf(path, sizeof path, "layers.%d.ms", n);
        double ms;
        if (clv_report_number(report, path, &ms, NULL) != CLV_OK)
            break;
        assert_true(ms > 0 && ms <= last);
        last = ms;
        (void)snprintf(path, sizeof path, "layers.%d.percent", n);
        share += number(report, path);
        (void)snprintf(path, sizeof path, "layers.%d.macs", n);
        macs += number(report, path);
        (void)snprintf(path, sizeof path, "layers.%d.floor_ms", n);
        assert_true(number(report, path) > 0);
    }
    assert_true(n >= 3);
    assert_true(fabs(share - 100) < 1e-6);
    assert_true(macs == number(report, "model.macs"));
    clv_report_free(report);

    clvi_bytes trace;
    int events = 0;
    assert_int_equal(clvi_file_read(&trace, opts.trace, NULL), CLV_OK);
    char *const text = clvi_calloc(trace.size + 1, 1);
    memcpy(text, trace.data, trace.size);
    assert_true(is_json(text));
    for (const char *p = text; (p = strstr(p, "\"ph\":\"X\"")); p++)
        events++;
    assert_int_equal(events, n);
    assert_non_null(strstr(text, "c1"));
    clvi_free(text);
    clvi_free(trace.data);
    assert_int_equal(empty_folder(), 1);
}

static void wrong_options_are_refused(void **state)
{
    clvi_graph *const g = network_residual(1), *const unknown = network_unknown_operator();
    clv_context *const context = context_of(1);
    clv_report *report = NULL;
    const clv_input_shape wrong = {.rank = 4, .dims = {1, 4, 32, 32}};
    const clv_bench_opts bad[] = {{.batch = 0, .runs = 1},
                                  {.batch = 1, .runs = 0},
                                  {.batch = 1, .runs = 1, .seconds = -1},
                                  {.batch = 1, .runs = 1, .seconds = (double)NAN},
                                  {.batch = 1, .runs = 1, .shapes = &wrong, .n_shapes = 1}};
    (void)state;
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    const long before = clvi_mem_live();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(clvi_bench(g, &bad[i], context, clvi_report_root(report), NULL), CLV_ERR_ARG);
    const clv_bench_opts opts = few_runs();
    assert_int_equal(clvi_bench(unknown, &opts, context, clvi_report_root(report), NULL), CLV_ERR_UNSUP);
    assert_int_equal(clvi_mem_live(), before);
    clv_report_free(report);
    clv_context_free(context);
    clvi_graph_free(g);
    clvi_graph_free(unknown);
}

/* --- other engines: /bin/sh plays Python ------------------------------------------------------------------------- */

static const char *play(const char *text)
{
    const char *const path = in_folder("script.sh");
    assert_int_equal(clvi_file_replace(path, text, strlen(text), NULL), CLV_OK);
    return path;
}

static clv_status against(const char *script, clv_report **report, const volatile sig_atomic_t *cancel, clv_error *err)
{
    const clv_context_opts context_opts = {.threads = 1, .cancel = cancel};
    const clv_bench_opts opts = few_runs();
    const int threads[] = {1, 2};
    const clv_against_opts a = {.path = "model.onnx",
                                .engines = "slow,odd,absent",
                                .script = play(script),
                                .python = "/bin/sh",
                                .rounds = 3,
                                .block = 0.001,
                                .threads = threads,
                                .n_threads = 2};
    clv_context *context = NULL;
    clvi_graph *const g = network_residual(1);
    assert_int_equal(clv_report_create(report, NULL), CLV_OK);
    assert_int_equal(clv_context_create(&context, &context_opts, NULL), CLV_OK);
    const clv_status st = clvi_bench_against(g, &opts, &a, context, clvi_report_root(*report), err);
    clv_context_free(context);
    clvi_graph_free(g);
    assert_int_equal(empty_folder(), 1); /* the script alone: nothing else is left */
    return st;
}

static void engines_take_turns(void **state)
{
    clv_report *report;
    clv_error err = {0};
    (void)state;
    /* the arguments and the files are as promised, or it ends */
    const clv_status st = against("[ $# = 4 ] && [ $4 = slow,odd,absent ] && [ -s $3/in0.npy ] && [ -s $3/out0.npy ] &&"
                                  " [ \"$(cat $3/names.txt)\" = input ] && [ $1 = model.onnx ] || exit 1\n"
                                  "echo engine slow 1.5 2e-6; echo engine odd 0.1 3e-2\n"
                                  "echo missing absent pip install absent; echo ready\n"
                                  "while read word name seconds; do echo times $name 1000.0 3000.0 2000.0; done\n",
                                  &report, NULL, &err);
    if (st != CLV_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(clv_report_string(report, "against.0.engine"), "cleave");
    assert_string_equal(clv_report_string(report, "against.1.engine"), "slow");
    assert_string_equal(clv_report_string(report, "against.1.version"), "1.5");
    assert_true(number(report, "against.1.counted") == 1);
    assert_true(number(report, "against.2.counted") == 0);
    assert_true(number(report, "against.2.error") == 3e-2);
    assert_true(number(report, "against.1.min_ms") == 1e6);
    assert_true(number(report, "against.1.p50_ms") == 2e6);
    const double own = number(report, "against.0.min_ms");
    assert_true(number(report, "against.1.least") <= number(report, "against.1.times_cleave"));
    assert_true(number(report, "against.1.times_cleave") <= number(report, "against.1.most"));
    assert_true(number(report, "against.1.most") <= 2e6 / own * (1 + 1e-9));
    assert_non_null(strstr(clv_report_string(report, "against.3.note"), "pip install absent"));
    assert_true(number(report, "against.0.threads") == 1 && number(report, "against.4.threads") == 2);
    assert_string_equal(clv_report_string(report, "against.7.engine"), "absent");
    clv_report_free(report);
}

static void a_script_that_fails_is_said(void **state)
{
    static const struct {
        const char *script, *says;
    } cases[] = {{"echo no such thing as a wheel >&2; exit 3", "no such thing as a wheel"},
                 {"echo nonsense; cat", "nonsense"},
                 {"echo engine slow 1 0; echo ready; read x; echo times slow", "times slow"},
                 {"echo engine slow 1 0; echo ready; read x; exit", "ended early"},
                 {"for i in 1 2 3 4 5 6 7 8 9; do echo engine e$i 1 0; done; cat", "engine e9"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clv_error err = {0};
        clv_report *report;
        assert_int_equal(against(cases[i].script, &report, NULL, &err), CLV_ERR_IO);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("\"%s\" was expected in: %s", cases[i].says, err.msg);
        clv_report_free(report);
    }
}

static void an_interrupt_ends_it(void **state)
{
    const volatile sig_atomic_t cancel = 1;
    clv_error err = {0};
    clv_report *report;
    (void)state;
    assert_int_equal(against("echo ready; cat", &report, &cancel, &err), CLV_ERR_INTERRUPTED);
    clv_report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_by_nearest_rank),
        cmocka_unit_test(the_floor_is_the_longer_of_two),
        cmocka_unit_test(the_machine_is_measured),
        cmocka_unit_test(a_run_is_timed),
        cmocka_unit_test(layers_add_up),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(engines_take_turns),
        cmocka_unit_test(a_script_that_fails_is_said),
        cmocka_unit_test(an_interrupt_ends_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
