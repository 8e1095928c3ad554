/* SPDX-License-Identifier: Apache-2.0 */
/* What `cleave plan` says of known networks: every node in one step, and no two lives that collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "measure/plan_report.h"
#include "report/report.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"

static clv_error err;

#define OK(call)                                                      \
    do {                                                              \
        const clv_status ok_status_ = (call);                         \
        if (ok_status_ != CLV_OK)                                     \
            fail_msg("%s: %s", clv_status_text(ok_status_), err.msg); \
    } while (0)

static clvi_graph *network(const char *name)
{
    clvi_graph *g = NULL;
    clv_arch_opts opts = clvi_arch_opts_default();
    opts.side = strcmp(name, "resnet20") == 0 ? 0 : 64;
    OK(clvi_arch_build(&g, name, &opts, NULL, &err));
    return g;
}

static clv_context *make_context(void)
{
    clv_context *context = NULL;
    clv_context_opts opts = clv_context_opts_default();
    opts.threads = 1;
    OK(clv_context_create(&context, &opts, &err));
    return context;
}

static double number(const clv_report *report, const char *path)
{
    double x;
    OK(clv_report_number(report, path, &x, &err));
    return x;
}

static double cell(const clv_report *report, const char *table, size_t row, const char *key)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s.%zu.%s", table, row, key);
    return number(report, path);
}

static size_t count_rows(const clv_report *report, const char *table, const char *key)
{
    char path[96];
    double x;
    size_t n = 0;
    do
        (void)snprintf(path, sizeof path, "%s.%zu.%s", table, n++, key);
    while (clv_report_number(report, path, &x, NULL) == CLV_OK);
    return n - 1;
}

/* Buffers alive at the same time lie apart and inside the block; the crowd at each step is what its row says. */
static void check_memory(const clv_report *report)
{
    const size_t n = count_rows(report, "buffers", "offset"), steps = count_rows(report, "steps", "step");
    const double block = number(report, "memory.block_bytes"), peak = number(report, "memory.peak_bytes");
    double most = 0, all = 0;
    assert_true(n > 0 && steps == (size_t)number(report, "model.steps"));
    for (size_t i = 0; i < n; i++) {
        const double at = cell(report, "buffers", i, "offset"), bytes = cell(report, "buffers", i, "bytes");
        const double first = cell(report, "buffers", i, "first"), last = cell(report, "buffers", i, "last");
        assert_true(at >= 0 && at + bytes <= block && first <= last && last <= (double)steps + 1);
        all += bytes;
        for (size_t j = 0; j < i; j++) {
            const double other = cell(report, "buffers", j, "offset"), size = cell(report, "buffers", j, "bytes");
            const bool together =
                cell(report, "buffers", j, "first") <= last && first <= cell(report, "buffers", j, "last");
            assert_true(!together || other + size <= at || at + bytes <= other);
        }
    }
    for (size_t s = 0; s < steps; s++) {
        double live = 0;
        for (size_t i = 0; i < n; i++)
            if (cell(report, "buffers", i, "first") <= (double)s + 1 &&
                (double)s + 1 <= cell(report, "buffers", i, "last"))
                live += cell(report, "buffers", i, "bytes");
        assert_true(cell(report, "steps", s, "live_bytes") == live);
        most = live > most ? live : most;
    }
    assert_true(peak >= most && peak <= block && number(report, "memory.unshared_bytes") == all);
}

static void lives_do_not_collide(void **state)
{
    (void)state;
    static const char *const names[] = {"resnet20", "mobilenet_v2", "shufflenet_v2", "squeezenet1.1"};
    clv_context *context = make_context();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clvi_graph *g = network(names[i]);
        const clv_bench_opts opts = {.batch = 2, .runs = 1};
        clv_report *report;
        OK(clv_report_create(&report, &err));
        OK(clvi_plan_report(g, &opts, context, clvi_report_root(report), &err));
        OK(clvi_report_check(report, &err));
        check_memory(report);
        assert_true(number(report, "model.nodes_run") + number(report, "model.nodes_in_place") ==
                    number(report, "model.nodes"));
        assert_true((number(report, "model.nodes_in_place") > 0) == (strcmp(names[i], "squeezenet1.1") == 0));
        clv_report_free(report);
        clvi_graph_free(g);
    }
    clv_context_free(context);
}

/* Each node of the folded network runs in exactly one step, however steps are fused. */
static void every_node_runs_once(void **state)
{
    (void)state;
    static const char *const names[] = {"resnet20", "mobilenet_v2", "shufflenet_v2"};
    clv_context *context = make_context();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clvi_graph *g = network(names[i]);
        const clv_bench_opts opts = {.batch = 1, .runs = 1};
        clvi_bench_job job;
        size_t runs[1024] = {0};
        OK(clvi_bench_job_create(&job, g, &opts, context, &err));
        const clvi_plan *plan = clvi_session_plan(job.session);
        assert_true(job.graph->n_nodes <= sizeof runs / sizeof *runs);
        for (size_t s = 0; s < plan->n_steps; s++) {
            const clvi_step *step = &plan->steps[s];
            for (size_t k = 0; k < step->profile.n_nodes && !(step->pixel && step->pixel->tensor); k++)
                runs[step->profile.node[k]]++;
        }
        for (size_t k = 0; k < job.graph->n_nodes; k++)
            assert_int_equal(runs[k], 1);
        clvi_bench_job_free(&job);
        clvi_graph_free(g);
    }
    clv_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_do_not_collide),
        cmocka_unit_test(every_node_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
