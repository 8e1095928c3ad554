/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/plan.h"

#include <string.h>

#include "base/float_mode.h"
#include "base/half.h"
#include "base/size.h"
#include "runtime/infer.h"

/* --- which steps ----------------------------------------------------------------------------------------------- */

/* Infer the wanted nodes in order; every one of them must be known. */
static clv_status infer_wanted(clvi_plan *plan, clv_error *err)
{
    const clvi_plan_base *const base = &plan->base;
    clvi_infer infer = {
        .graph = base->graph, .kernels = base->kernels, .pool = base->context ? base->context->pool : NULL};
    clv_status st = clvi_infer_begin(&infer, base->constants, plan->inputs, base->graph->n_inputs, err);
    for (size_t i = 0; i < base->graph->n_nodes && st == CLV_OK; i++)
        if (base->wanted[i])
            st = clvi_infer_node(&infer, i, err);
    for (size_t i = 0; i < base->n_fetch && st == CLV_OK; i++)
        if (infer.shapes.values[base->fetch[i]].rank < 0)
            st = FAIL(err, CLV_ERR_UNSUP, "value \"%s\" is not an array of numbers",
                      base->graph->values[base->fetch[i]].name);
    if (st == CLV_OK)
        plan->shapes = infer.shapes;
    else
        clvi_shapes_free(&infer.shapes);
    return st;
}

clv_tensor *clvi_plan_slot(const clvi_plan *plan, int32_t slot)
{
    const size_t n = plan->base.graph->n_values;
    return (size_t)slot < n ? &plan->shapes.values[slot] : &plan->pixels[(size_t)slot - n];
}

bool clvi_plan_fetches(const clvi_plan_base *base, int32_t value)
{
    for (size_t i = 0; i < base->n_fetch; i++)
        if (base->fetch[i] == value)
            return true;
    return false;
}

clv_dtype clvi_plan_returned(const clvi_plan *plan, int32_t value)
{
    const clvi_value *const v = &plan->base.graph->values[value];
    const clv_dtype computed = plan->shapes.values[value].dtype;
    return v->is_output && computed == CLV_FLOAT32 && clvi_compute_dtype(v->dtype) == CLV_FLOAT32 ? v->dtype : computed;
}

clv_status clvi_plan_block(void **out, size_t bytes, const char *what, clv_error *err)
{
    const size_t available = clvi_mem_physical();
    if (bytes > available || !(*out = clvi_alloc_hot(bytes)))
        return FAIL(err, CLV_ERR_NOMEM, "%s need %.3g MB, the machine has %.3g MB", what, (double)bytes * 1e-6,
                    (double)available * 1e-6);
    return CLV_OK;
}

/* Packed weights and the shared scratch. Before activations have addresses, so data != NULL still means constant. */
static clv_status prepare_steps(clvi_plan *plan, clv_error *err)
{
    size_t work = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        clvi_step *const step = &plan->steps[s];
        TRY(clvi_check_cancel(plan->base.context, err));
        if (step->op && step->op->prepare) {
            const clv_status st = step->op->prepare(&step->call, err);
            if (st != CLV_OK)
                return clvi_fail_at_node(err, st, step->call.graph, step->call.node);
        }
        if (step->op && step->op->work)
            work = clvi_max_size(work, step->op->work(&step->call));
        if (step->pixel && step->pixel->kind->work)
            work = clvi_max_size(work, step->pixel->kind->work(step->pixel));
    }
    plan->work_bytes = work;
    if (work == 0)
        return CLV_OK;
    TRY(clvi_plan_block(&plan->work, work, "scratch", err));
    for (size_t s = 0; s < plan->n_steps; s++) {
        plan->steps[s].call.work = plan->work;
        if (plan->steps[s].pixel)
            plan->steps[s].pixel->work = plan->work;
    }
    return CLV_OK;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

clv_status clvi_plan_create(clvi_plan **out, const clvi_plan_base *base, const clv_tensor *inputs, clv_error *err)
{
    clv_status st = CLV_OK;
    *out = NULL;
    clvi_plan *plan = clvi_calloc(1, sizeof *plan);
    clv_tensor *const key = clvi_calloc(base->graph->n_inputs, sizeof *key);
    if (!plan || !key) {
        st = FAIL(err, CLV_ERR_NOMEM, "plan");
        clvi_free(key);
        goto out;
    }
    plan->base = *base;
    plan->inputs = key;
    for (size_t i = 0; i < base->graph->n_inputs; i++) {
        key[i] = base->wanted_input[i] ? inputs[i] : (clv_tensor){.rank = -1};
        key[i].data = NULL;
    }
    if ((st = infer_wanted(plan, err)) != CLV_OK || (st = clvi_plan_steps(plan, err)) != CLV_OK ||
        (st = prepare_steps(plan, err)) != CLV_OK || (st = clvi_plan_memory(plan, err)) != CLV_OK)
        goto out;
    *out = plan;
    plan = NULL;
out:
    clvi_plan_free(plan);
    return st;
}

void clvi_plan_free(clvi_plan *plan)
{
    if (!plan)
        return;
    for (size_t s = 0; s < plan->n_steps; s++) {
        if (plan->steps[s].op && plan->steps[s].op->release && plan->steps[s].call.state)
            plan->steps[s].op->release(plan->steps[s].call.state);
    }
    clvi_arena_free(plan->packed);
    clvi_free(plan->work);
    clvi_free(plan->block);
    clvi_free(plan->inputs);
    clvi_shapes_free(&plan->shapes);
    clvi_free(plan);
}

bool clvi_plan_fits(const clvi_plan *plan, const clv_tensor *inputs)
{
    for (size_t i = 0; i < plan->base.graph->n_inputs; i++) {
        const clv_tensor *const a = &plan->inputs[i], *const b = &inputs[i];
        if (a->rank < 0)
            continue;
        if (a->rank != b->rank || a->dtype != b->dtype ||
            memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0)
            return false;
    }
    return true;
}

/* --- running --------------------------------------------------------------------------------------------------- */

static void stage_inputs(clvi_plan *plan, const clv_tensor *inputs)
{
    for (size_t i = 0; i < plan->base.graph->n_inputs; i++) {
        clv_tensor *const to = &plan->shapes.values[plan->base.graph->inputs[i]];
        size_t bytes;
        if (plan->inputs[i].rank < 0 || !clvi_tensor_bytes(to, &bytes))
            continue;
        if (!plan->staged[i])
            to->data = inputs[i].data;
        else if (inputs[i].dtype != to->dtype)
            (void)clvi_floats_from(to->data, inputs[i].dtype, inputs[i].data, bytes / sizeof(float));
        else if (bytes > 0)
            memcpy(to->data, inputs[i].data, bytes);
    }
}

static void return_fetches(const clvi_plan *plan, clv_tensor *outputs)
{
    for (size_t i = 0; i < plan->base.n_fetch; i++) {
        const clv_tensor *const from = &plan->shapes.values[plan->base.fetch[i]];
        outputs[i] = *from;
        if (!plan->returned[i])
            continue;
        outputs[i].dtype = clvi_plan_returned(plan, plan->base.fetch[i]);
        outputs[i].data = plan->returned[i];
        (void)clvi_floats_to(outputs[i].data, outputs[i].dtype, from->data, (size_t)clv_tensor_count(from));
    }
}

static float *read_data(const clvi_plan *plan, const clvi_step *step, size_t i)
{
    return i < step->n_reads && step->reads[i] != CLVI_NONE ? clvi_plan_slot(plan, step->reads[i])->data : NULL;
}

/* Graph inputs may be somewhere else at each run, so data are bound now. */
static void run_pixels(const clvi_plan *plan, const clvi_step *step)
{
    clvi_pixel_step *const pixel = step->pixel;
    pixel->x.data = clvi_plan_slot(plan, step->reads[0])->data;
    pixel->add.data = read_data(plan, step, 1);
    pixel->scale.data = read_data(plan, step, 2);
    pixel->other.data = read_data(plan, step, 3);
    pixel->y.data = clvi_plan_slot(plan, step->writes[0])->data;
    pixel->rest.data = step->n_writes > 1 ? clvi_plan_slot(plan, step->writes[1])->data : NULL;
    pixel->kind->run(pixel);
}

static clv_status run_step(const clvi_plan *plan, clvi_step *step, clv_error *err)
{
    if (step->pixel) {
        run_pixels(plan, step);
        return CLV_OK;
    }
    const clv_status st = step->op->run(&step->call, err);
    return st == CLV_OK ? st : clvi_fail_at_node(err, st, step->call.graph, step->call.node);
}

static clv_status run_steps(const clvi_plan *plan, double *node_seconds, clv_error *err)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        clvi_step *const step = &plan->steps[s];
        TRY(clvi_check_cancel(plan->base.context, err));
        const double start = node_seconds ? clvi_now() : 0;
        TRY(run_step(plan, step, err));
        if (node_seconds) {
            const double seconds = clvi_now() - start;
            node_seconds[step->node] += seconds;
            step->profile.seconds += seconds;
            step->profile.least =
                step->profile.runs == 0 || seconds < step->profile.least ? seconds : step->profile.least;
            step->profile.runs++;
        }
    }
    return CLV_OK;
}

clv_status clvi_plan_run(clvi_plan *plan, const clv_tensor *inputs, clv_tensor *outputs, double *node_seconds,
                         clv_error *err)
{
    const clvi_float_mode mode = clvi_float_mode_get();
    stage_inputs(plan, inputs);
    clvi_float_mode_set(clvi_float_mode_flushing(mode));
    const clv_status st = run_steps(plan, node_seconds, err);
    clvi_float_mode_set(mode);
    TRY(st);
    return_fetches(plan, outputs);
    return CLV_OK;
}
