/* SPDX-License-Identifier: Apache-2.0 */
/* Time is that of the plan: 0 when the inputs are staged, step s runs at s + 1, results are returned behind the last.
 */
#include "measure/plan_report.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "measure/input_shapes.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"

#define SHAPE_TEXT 128

/* --- steps ------------------------------------------------------------------------------------------------------ */

/* Bytes of the block that are in use at a time. */
static size_t live_bytes(const clvi_plan *plan, size_t time)
{
    size_t sum = 0;
    for (size_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].first <= time && time <= plan->buffers[i].last)
            sum += plan->buffers[i].bytes;
    return sum;
}

/* The shape of a step's first read or write, as it lies in memory: pixels end with their channels. */
static void slot_text(char *text, const clvi_plan *plan, const int32_t *slots, size_t n)
{
    text[0] = '\0';
    if (n == 0 || slots[0] == CLVI_NONE)
        return;
    const clv_tensor *const t = clvi_plan_slot(plan, slots[0]);
    clvi_shape_text(text, SHAPE_TEXT, t->rank, t->dims, NULL);
}

static void report_steps(const clvi_plan *plan, clvi_item *table)
{
    char in[SHAPE_TEXT], out[SHAPE_TEXT];
    for (size_t s = 0; s < plan->n_steps; s++) {
        const clvi_step *const step = &plan->steps[s];
        clvi_item *const row = clvi_report_row(table);
        slot_text(in, plan, step->reads, step->n_reads);
        slot_text(out, plan, step->writes, step->n_writes);
        clvi_report_int(row, "step", (int64_t)s + 1);
        clvi_report_text(row, "kernel", step->profile.kernel);
        clvi_report_text(row, "input", in);
        clvi_report_text(row, "output", out);
        clvi_report_int(row, "macs", step->profile.macs);
        clvi_report_int(row, "bytes", step->profile.bytes);
        clvi_report_int(row, "live_bytes", (int64_t)live_bytes(plan, s + 1));
        clvi_report_text(row, "layer", step->profile.nodes);
    }
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

/* "relu1, conv2 (channels last)": the values that a buffer holds, one after another. */
static void buffer_values(clvi_str *text, const clvi_plan *plan, size_t buffer)
{
    const size_t n = plan->base.graph->n_values;
    for (size_t slot = 0; slot < 2 * n; slot++) {
        if (plan->buffer[slot] != (int32_t)buffer)
            continue;
        clvi_str_printf(text, "%s%s%s", text->size ? ", " : "", plan->base.graph->values[slot % n].name,
                        slot < n ? "" : " (channels last)");
    }
    if (text->size == 0)
        clvi_str_puts(text, "a result in its declared type");
}

static clv_status report_buffers(const clvi_plan *plan, clvi_item *table, clv_error *err)
{
    size_t *const order = clvi_calloc(plan->n_buffers, sizeof *order);
    if (!order)
        return FAIL(err, CLV_ERR_NOMEM, "list of %zu buffers", plan->n_buffers);
    for (size_t i = 0; i < plan->n_buffers; i++) { /* by offset, then by time: as they lie in the picture */
        const clvi_interval *const b = &plan->buffers[i];
        size_t at = i;
        for (; at > 0; at--) {
            const clvi_interval *const a = &plan->buffers[order[at - 1]];
            if (a->offset < b->offset || (a->offset == b->offset && a->first <= b->first))
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    for (size_t i = 0; i < plan->n_buffers; i++) {
        const clvi_interval *const b = &plan->buffers[order[i]];
        clvi_item *const row = clvi_report_row(table);
        clvi_str values = {0};
        buffer_values(&values, plan, order[i]);
        clvi_report_int(row, "offset", (int64_t)b->offset);
        clvi_report_int(row, "bytes", (int64_t)b->bytes);
        clvi_report_int(row, "first", (int64_t)b->first);
        clvi_report_int(row, "last", (int64_t)b->last);
        clvi_report_text(row, "values", values.text ? values.text : "");
        clvi_str_free(&values);
    }
    clvi_free(order);
    return CLV_OK;
}

/* block_bytes is what was allocated, peak_bytes what is alive at the most crowded step: no plan needs less. */
static void report_memory(const clvi_plan *plan, clvi_item *item)
{
    size_t peak = 0, at = 0, all = 0;
    for (size_t time = 0; time <= plan->n_steps + 1; time++) {
        const size_t live = live_bytes(plan, time);
        if (live > peak) {
            peak = live;
            at = time;
        }
    }
    for (size_t i = 0; i < plan->n_buffers; i++)
        all += plan->buffers[i].bytes;
    clvi_report_int(item, "block_bytes", (int64_t)plan->block_bytes);
    clvi_report_int(item, "peak_bytes", (int64_t)peak);
    clvi_report_int(item, "peak_step", (int64_t)at);
    clvi_report_int(item, "unshared_bytes", (int64_t)all);
    clvi_report_int(item, "scratch_bytes", (int64_t)plan->work_bytes);
}

/* --- all -------------------------------------------------------------------------------------------------------- */

static size_t count_nodes(const clvi_graph *graph, const clvi_plan *plan)
{
    size_t n = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        n += plan->steps[s].pixel && plan->steps[s].pixel->tensor ? 0 : plan->steps[s].profile.n_nodes;
    return n < graph->n_nodes ? n : graph->n_nodes;
}

/* Concat nodes that no step runs: their inputs are written where they belong. */
static size_t count_in_place(const clvi_graph *graph, const clvi_plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        bool run = !clvi_node_is(graph->nodes[i], "Concat");
        for (size_t s = 0; !run && s < plan->n_steps; s++)
            for (size_t k = 0; k < plan->steps[s].profile.n_nodes; k++)
                run = run || plan->steps[s].profile.node[k] == i;
        n += !run;
    }
    return n;
}

clv_status clvi_plan_report(const clvi_graph *graph, const clv_bench_opts *opts, clv_context *context,
                            clvi_item *report, clv_error *err)
{
    clvi_bench_job job;
    clvi_count count;
    clv_status st = clvi_bench_job_create(&job, graph, opts, context, err);
    clvi_item *const model = clvi_report_object(report, "model");
    if (st == CLV_OK)
        st = clvi_bench_job_report(&job, &count, model, err);
    const clvi_plan *const plan = st == CLV_OK ? clvi_session_plan(job.session) : NULL;
    if (st == CLV_OK) {
        clvi_report_int(model, "nodes", (int64_t)job.graph->n_nodes);
        clvi_report_int(model, "nodes_run", (int64_t)count_nodes(job.graph, plan));
        clvi_report_int(model, "nodes_in_place", (int64_t)count_in_place(job.graph, plan));
        clvi_report_int(model, "steps", (int64_t)plan->n_steps);
        clvi_report_text(model, "isa", clv_context_isa(context));
        clvi_report_int(model, "threads", clv_context_threads(context));
        report_memory(plan, clvi_report_object(report, "memory"));
        report_steps(plan, clvi_report_table(report, "steps"));
        st = report_buffers(plan, clvi_report_table(report, "buffers"), err);
    }
    clvi_bench_job_free(&job);
    return st;
}
