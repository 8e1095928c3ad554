/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets of milliseconds on a small ResNet. Times are those of this machine now, so nothing here depends on how long
 * anything takes, but that a network becomes faster when most of its work is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/file.h"
#include "base/mem.h"
#include "compress/compress.h"
#include "compress/latency.h"
#include "onnx/onnx.h"
#include "report/report.h"
#include "runtime/passes.h"

#define IMAGES "builtin:shapes?n=30&seed=1"
#define TRIES  4 /* a machine with other work on it may hide for a while what is faster */

static char folder[] = "/tmp/cleave-latency-XXXXXX";
static clv_error err;

#define OK(call)                                                      \
    do {                                                              \
        const clv_status ok_status_ = (call);                         \
        if (ok_status_ != CLV_OK)                                     \
            fail_msg("%s: %s", clv_status_text(ok_status_), err.msg); \
    } while (0)

static const char *path(const char *name)
{
    static char room[4][128];
    static int next;
    char *const to = room[next++ % 4];
    (void)snprintf(to, sizeof room[0], "%s/%s", folder, name);
    return to;
}

static clvi_graph *make_network(void)
{
    clvi_graph *g = NULL;
    clv_arch_opts opts = clvi_arch_opts_default();
    opts.width = 1;
    OK(clvi_arch_build(&g, "resnet20", &opts, NULL, &err));
    return g;
}

static clvi_graph *fold(const clvi_graph *g)
{
    clvi_graph *folded = NULL;
    OK(clvi_graph_clone(&folded, g, &err));
    OK(clvi_pass_fold_constants(folded, &err));
    OK(clvi_pass_fold_batchnorm(folded, &err));
    return folded;
}

static clv_context *make_context(void)
{
    clv_context *context = NULL;
    clv_context_opts opts = clv_context_opts_default();
    opts.threads = 1;
    OK(clv_context_create(&context, &opts, &err));
    return context;
}

static clv_tensor image(void)
{
    return (clv_tensor){.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, 3, 32, 32}};
}

/* --- networks that are timed ------------------------------------------------------------------------------------ */

/* A size of every form at which it costs about a third. */
static bool a_third(clvi_candidate *c, const clvi_form *form, const clvi_conv *conv)
{
    clvi_fit_opts opts = clvi_fit_opts_default();
    *c = (clvi_candidate){.form = form, .multiplier = 1};
    if (form->refuses(conv))
        return false;
    for (int64_t size = strcmp(form->name, "depthwise") == 0 ? 0 : 1; size < 200; size++) {
        opts.size = size;
        opts.multiplier = 2;
        const int64_t macs = form->macs(conv, &opts);
        if (macs > 0 && (c->macs_per_pixel == 0 || 3 * macs <= clvi_conv_macs_per_pixel(conv))) {
            c->size = size;
            c->macs_per_pixel = macs;
            c->multiplier = size ? 1 : 2;
        }
        if (size == 0)
            break;
    }
    return c->macs_per_pixel > 0;
}

/* Chains without statistics have the multiply-adds that the form counts, every step of the network belongs to the
 * convolution in whose place it stands, and what is left computes an output of the right shape. */
static void trials_have_the_shape_of_fits(void **state)
{
    (void)state;
    clvi_graph *g = make_network(), *folded = fold(g);
    clv_context *context = make_context();
    const clv_tensor input = image();
    clvi_shapes shapes;
    clvi_sites sites;
    clvi_trial_chains chains = {0};
    OK(clvi_shapes_infer(&shapes, folded, &input, 1, &err));
    OK(clvi_sites_find(&sites, folded, &shapes, &err));
    clvi_candidate *candidate = clvi_calloc(sites.n, sizeof *candidate);
    const clvi_candidate **chosen = clvi_calloc(sites.n, sizeof *chosen);
    size_t n_forms;
    const clvi_form *const *forms = clvi_form_all(&n_forms);
    for (size_t f = 0; f < n_forms; f++) {
        clvi_trial t;
        clvi_shapes after;
        int64_t wanted = 0, counted = 0;
        const bool far = strcmp(forms[f]->name, "prune") == 0 || strcmp(forms[f]->name, "remove") == 0;
        for (size_t i = 0; i < sites.n; i++) {
            const clvi_conv *v = &sites.site[i].conv;
            chosen[i] = i > 0 && a_third(&candidate[i], forms[f], v) ? &candidate[i] : NULL;
            wanted += (chosen[i] ? candidate[i].macs_per_pixel : clvi_conv_macs_per_pixel(v)) * sites.site[i].shape.oh *
                      sites.site[i].shape.ow;
        }
        OK(clvi_trial_create(&t, folded, &sites, chosen, &chains, context, &err));
        OK(clvi_shapes_infer(&after, t.graph, &input, 1, &err));
        for (size_t i = 0; i < t.graph->n_nodes; i++) {
            const clvi_node *node = t.graph->nodes[i];
            const bool conv = clvi_node_is(node, "Conv"), relu = clvi_node_is(node, "Relu");
            counted += conv ? after.macs[i] : 0;
            if (conv || relu)
                assert_true((size_t)node->out[0] < t.n_owner && t.owner[node->out[0]] >= 0 &&
                            (size_t)t.owner[node->out[0]] < sites.n);
            if (clvi_node_is(node, "Slice") || clvi_node_is(node, "GlobalAveragePool"))
                assert_int_equal(t.owner[node->out[0]], CLVI_NONE);
        }
        if (!far) /* those make other layers smaller, too */
            assert_int_equal(counted, wanted);
        assert_true(after.values[t.graph->outputs[0]].rank == 2 && after.values[t.graph->outputs[0]].dims[1] == 10);
        clvi_shapes_free(&after);
        clvi_trial_free(&t);
    }
    clvi_free(chosen);
    clvi_free(candidate);
    clvi_trial_chains_free(&chains);
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    clv_context_free(context);
    clvi_graph_free(folded);
    clvi_graph_free(g);
}

/* --- the job ----------------------------------------------------------------------------------------------------- */

static clv_status compress(clvi_bytes *out, clv_report *report, const clvi_graph *g, const clv_compress_opts *opts)
{
    clv_dataset *data = NULL;
    clv_preprocess preprocess;
    clvi_graph *small = NULL;
    clv_context *context = make_context();
    OK(clv_preprocess_preset(&preprocess, "cifar10", &err));
    OK(clv_dataset_open(&data, IMAGES, NULL, &err));
    *out = (clvi_bytes){0};
    const clv_status st = clvi_compress(&small, g, data, &preprocess, opts, context, report, &err);
    if (st == CLV_OK && small)
        OK(clvi_onnx_write_bytes(small, out, &err));
    clvi_graph_free(small);
    clv_dataset_free(data);
    clv_context_free(context);
    return st;
}

static clv_compress_opts options(const char *budget)
{
    clv_compress_opts opts = clv_compress_opts_default();
    opts.samples = 600;
    opts.rounds = 0;
    opts.form = "bottleneck"; /* the quickest search */
    opts.budget = budget;
    opts.stats = path("net.clvstats");
    return opts;
}

static double number(const clv_report *report, const char *key)
{
    double x;
    OK(clv_report_number(report, key, &x, &err));
    return x;
}

static void assert_same_bytes(const clvi_bytes *a, const clvi_bytes *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

/* What a run decided is in its recipe and in its journal: both give the same bytes again, whatever the clock says. */
static void a_choice_is_made_once(void **state)
{
    (void)state;
    clvi_graph *g = make_network();
    clvi_bytes first, again, resumed;
    clv_report *report = NULL;
    clv_compress_opts opts = options("latency=0.9x");
    char recipe[128], journal[128];
    clv_status st = CLV_ERR_BUDGET;
    (void)snprintf(recipe, sizeof recipe, "%s", path("net.recipe.json"));
    (void)snprintf(journal, sizeof journal, "%s", path("net.journal"));
    for (int i = 0; i < TRIES && st == CLV_ERR_BUDGET; i++) {
        clv_report_free(report);
        OK(clv_report_create(&report, &err));
        opts.recipe_out = recipe;
        opts.journal = journal;
        st = compress(&first, report, g, &opts);
    }
    OK(st);
    assert_true(number(report, "after.macs") < number(report, "before.macs"));
    assert_true(number(report, "latency.planned_ms") <= 1.05 * number(report, "latency.target_ms"));
    assert_true(number(report, "latency.after_ms") > 0 && number(report, "latency.predicted_ms") > 0);
    assert_true(fabs(number(report, "latency.target_ms") / number(report, "latency.before_ms") - 0.9) < 0.9);
    opts.recipe_out = NULL;
    opts.resume = true;
    OK(compress(&resumed, NULL, g, &opts));
    assert_same_bytes(&first, &resumed);
    opts = options(NULL);
    opts.form = NULL;
    opts.recipe = recipe;
    OK(compress(&again, NULL, g, &opts));
    assert_same_bytes(&first, &again);
    clvi_bytes text;
    OK(clvi_file_read(&text, recipe, &err));
    assert_non_null(strstr((const char *)text.data, "\"planned_ms\""));
    clvi_free(text.data);
    clvi_free(first.data);
    clvi_free(again.data);
    clvi_free(resumed.data);
    (void)unlink(recipe);
    (void)unlink(journal);
    clv_report_free(report);
    clvi_graph_free(g);
}

static void what_cannot_be_reached_says_how_far(void **state)
{
    (void)state;
    clvi_graph *g = make_network();
    clvi_bytes bytes;
    const clv_compress_opts opts = options("latency=0.001us");
    assert_int_equal(compress(&bytes, NULL, g, &opts), CLV_ERR_BUDGET);
    assert_non_null(strstr(err.msg, "nearest"));
    assert_non_null(strstr(err.msg, "1 thread"));
    assert_null(bytes.data);
    clvi_graph_free(g);
}

static void budgets_of_time_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double amount;
        bool relative;
    } good[] = {{"latency=0.5x", 0.5, true},       {"latency=40%", 0.4, true},    {"latency=12ms", 0.012, false},
                {"latency=250us", 2.5e-4, false},  {"latency=1.5s", 1.5, false},  {"latency=1x", 1, true},
                {"latency=3ms@p90", 0.003, false}, {"latency=30%@p99", 0.3, true}};
    static const char *const bad[] = {"latency=12",     "latency=12M",   "latency=0ms",      "latency=2x",
                                      "latency=101%",   "latency=ms",    "macs=12ms",        "latency=-1ms",
                                      "latency=0.5xx",  "latency=3ms@p", "latency=3ms@p0",   "latency=3ms@p100",
                                      "latency=3ms@90", "macs=30%@p90",  "latency=3ms@p90x", "latency=3@p90"};
    clvi_budget b;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        OK(clvi_budget_parse(&b, good[i].text, &err));
        assert_true(b.kind == CLVI_COST_LATENCY && b.relative == good[i].relative &&
                    fabs(b.amount - good[i].amount) < 1e-12);
        const char *at = strchr(good[i].text, '@');
        assert_true(b.percent == (at ? strtod(at + 2, NULL) : 50));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(clvi_budget_parse(&b, bad[i], &err), CLV_ERR_ARG);
        assert_non_null(strstr(err.msg, bad[i]));
    }
}

/* --- slower ones are forbidden ---------------------------------------------------------------------------------- */

/* Two candidates for every layer: one with almost no work, one with twelve times as much as the convolution itself. */
static void forms_that_are_slower_are_not_taken(void **state)
{
    (void)state;
    clvi_graph *g = make_network(), *folded = fold(g);
    clv_context *context = make_context();
    const clv_tensor input = image();
    clvi_shapes shapes;
    clvi_sites sites;
    clvi_trial_chains chains = {0};
    clvi_latency_figures figures = clvi_latency_unknown();
    clvi_costs costs;
    const clvi_count whole = {.macs = 1};
    OK(clvi_shapes_infer(&shapes, folded, &input, 1, &err));
    OK(clvi_sites_find(&sites, folded, &shapes, &err));
    clvi_candidates *lists = clvi_calloc(sites.n, sizeof *lists);
    for (size_t i = 1; i < sites.n; i++) {
        const clvi_conv *v = &sites.site[i].conv;
        const int64_t sizes[] = {2, 40 * v->o};
        clvi_fit_opts opts = clvi_fit_opts_default();
        lists[i].item[0] = (clvi_candidate){.macs_per_pixel = clvi_conv_macs_per_pixel(v)};
        for (lists[i].n = 1; lists[i].n < 3; lists[i].n++) {
            opts.size = sizes[lists[i].n - 1];
            opts.size = opts.size > v->c * v->kh * v->kw ? v->c * v->kh * v->kw : opts.size;
            const clvi_form *form = clvi_form_find("bottleneck");
            lists[i].item[lists[i].n] = (clvi_candidate){
                .form = form, .multiplier = 1, .size = opts.size, .macs_per_pixel = form->macs(v, &opts)};
        }
    }
    const clvi_latency_task task = {folded, &sites, lists, &input, &chains, context};
    OK(clvi_costs_count(&costs, CLVI_COST_MACS, &whole, lists, &sites, &err));
    OK(clvi_latency_forbid_slower(&costs, &figures, &task, &err));
    size_t quick = 0;
    for (size_t i = 1; i < sites.n; i++) {
        const double *item = costs.item + i * CLVI_CANDIDATES_MAX;
        assert_true(isfinite(item[0]));
        quick += isfinite(item[1]) ? 1 : 0;
        assert_true(isinf(item[2]));
    }
    assert_true(quick > sites.n / 2);
    assert_true(figures.measured + figures.cached > 0);
    clvi_costs_free(&costs);
    clvi_free(lists);
    clvi_trial_chains_free(&chains);
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    clv_context_free(context);
    clvi_graph_free(folded);
    clvi_graph_free(g);
}

static int set_up(void **state)
{
    (void)state;
    return !mkdtemp(folder) || setenv("XDG_CACHE_HOME", folder, 1) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path("net.clvstats"));
    (void)unlink(path("cleave/times.clvtimes"));
    (void)rmdir(path("cleave"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets_of_time_are_read),
        cmocka_unit_test(trials_have_the_shape_of_fits),
        cmocka_unit_test(forms_that_are_slower_are_not_taken),
        cmocka_unit_test(a_choice_is_made_once),
        cmocka_unit_test(what_cannot_be_reached_says_how_far),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
