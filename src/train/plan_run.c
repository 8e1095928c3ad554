/* SPDX-License-Identifier: Apache-2.0 */
/* One step: the events of the plan, cut where all lanes must be waited for. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "train/plan_private.h"

#define CHUNK 16384 /* floats of the parameter vector that a task adds up */

/* [n, c, h, w] -> [n, h, w, c] when the rank is 4, else as it is. */
static void stage_input(const clvi_tplan *plan, const clvi_tlane *lane, const float *from)
{
    const clv_tensor *const t = &plan->shapes.values[plan->input];
    float *const to = lane->data[plan->input];
    const size_t count = (size_t)clv_tensor_count(t);
    if (t->rank != 4) {
        memcpy(to, from, count * sizeof *to);
        return;
    }
    const size_t c = (size_t)t->dims[1], hw = (size_t)(t->dims[2] * t->dims[3]);
    for (size_t n = 0; n < (size_t)t->dims[0]; n++)
        for (size_t k = 0; k < c; k++)
            for (size_t i = 0; i < hw; i++)
                to[(n * hw + i) * c + k] = from[(n * c + k) * hw + i];
}

static bool finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static void look(clvi_tplan *plan, const clvi_trun *run, const clvi_tnode *t, bool back)
{
    const size_t n = back ? t->node->n_in : t->node->n_out;
    for (size_t j = 0; j < n && !plan->suspect[0]; j++) {
        const int32_t v = back ? t->node->in[j] : t->node->out[j];
        const float *const x = v == CLVI_NONE ? NULL : back ? clvi_tgrad_in(t, run, j) : clvi_tout(t, run, j);
        if (x && !finite(x, (size_t)clv_tensor_count(&plan->shapes.values[v])))
            (void)snprintf(plan->suspect, sizeof plan->suspect, "%s %s \"%.100s\"",
                           back ? "in the gradient behind" : "in the output of", t->node->op_type, clvi_tlabel(t));
    }
}

static clv_status run_event(clvi_tplan *plan, clvi_trun *run, const clvi_tevent *e, clv_error *err)
{
    switch (e->kind) {
    case CLVI_T_GATHER:
        e->node->row->gather(e->node, run);
        return CLV_OK;
    case CLVI_T_FORWARD:
        TRY(e->node->row->forward(e->node, run, err));
        if (plan->diagnose)
            look(plan, run, e->node, false);
        return CLV_OK;
    case CLVI_T_LOSS:
        return plan->loss ? plan->loss(plan->user, plan, run->index, run->worker, err) : CLV_OK;
    case CLVI_T_GATHER_BACK:
        e->node->row->gather_back(e->node, run);
        return CLV_OK;
    case CLVI_T_BACKWARD:
        TRY(e->node->row->backward(e->node, run, err));
        if (plan->diagnose)
            look(plan, run, e->node, true);
        return CLV_OK;
    case CLVI_T_SETTLE:
    case CLVI_T_SETTLE_BACK:
        break;
    }
    return CLV_OK;
}

static void lane_task(void *arg, size_t index, int worker)
{
    clvi_tplan *const plan = arg;
    clvi_tlane *const lane = &plan->lanes[index];
    clvi_trun run = {.plan = plan, .lane = lane, .index = index, .number = plan->first_lane + index, .worker = worker};
    if (plan->status[index] != CLV_OK)
        return;
    const int threads = clvi_dnn_enter();
    if (plan->from == 0) {
        const clv_tensor *const t = &plan->shapes.values[plan->input];
        stage_input(plan, lane, plan->in + index * (size_t)clv_tensor_count(t));
        memset(lane->dparam, 0, plan->size * sizeof(float));
    }
    for (size_t i = plan->from; i < plan->to && plan->status[index] == CLV_OK; i++)
        plan->status[index] = run_event(plan, &run, &plan->events[i], &plan->errors[index]);
    clvi_dnn_leave(threads);
}

static void refresh_task(void *arg, size_t index, int worker)
{
    clvi_tplan *const plan = arg;
    clvi_tnode *const t = &plan->nodes[index];
    if (!t->row->refresh)
        return;
    const int threads = clvi_dnn_enter();
    const clv_status st = t->row->refresh(t, worker, NULL);
    clvi_dnn_leave(threads);
    if (st != CLV_OK)
        plan->status[0] = st; /* oneDNN failing on a reorder that it planned: only when memory is short */
}

static void sum_task(void *arg, size_t index, int worker)
{
    clvi_tplan *const plan = arg;
    (void)worker;
    const size_t at = index * CHUNK, n = clvi_min_size(CHUNK, plan->size - at);
    memcpy(plan->gradient + at, plan->lanes[0].dparam + at, n * sizeof(float));
    for (size_t l = 1; l < plan->n_lanes; l++)
        plan->loops->accumulate(plan->gradient + at, plan->lanes[l].dparam + at, n);
}

static clv_status first_failure(const clvi_tplan *plan, clv_error *err)
{
    for (size_t l = 0; l < plan->n_lanes; l++)
        if (plan->status[l] != CLV_OK) {
            if (err)
                *err = plan->errors[l];
            return plan->status[l];
        }
    return CLV_OK;
}

clv_status clvi_tplan_run(clvi_tplan *plan, const float *input, clvi_tloss loss, void *user, clv_error *err)
{
    const size_t end = loss && plan->opts.backward ? plan->n_events : plan->n_forward + (loss ? 1 : 0);
    plan->in = input;
    plan->loss = loss;
    plan->user = user;
    for (size_t l = 0; l < plan->n_lanes; l++)
        plan->status[l] = CLV_OK;
    clvi_pool_run(plan->pool, plan->n_nodes, refresh_task, plan);
    if (plan->status[0] != CLV_OK)
        return FAIL(err, plan->status[0], "weights cannot be reordered");
    for (plan->from = 0; plan->from < end; plan->from = plan->to) {
        clvi_tevent *const e = &plan->events[plan->from];
        if (e->kind == CLVI_T_SETTLE || e->kind == CLVI_T_SETTLE_BACK)
            TRY(clvi_tplan_meet(plan, e->node, err));
        if (e->kind == CLVI_T_SETTLE)
            e->node->row->settle(e->node);
        if (e->kind == CLVI_T_SETTLE_BACK)
            e->node->row->settle_back(e->node);
        plan->to = plan->from + 1;
        while (plan->to < end && plan->events[plan->to].kind != CLVI_T_SETTLE &&
               plan->events[plan->to].kind != CLVI_T_SETTLE_BACK)
            plan->to++;
        clvi_pool_run(plan->pool, plan->n_lanes, lane_task, plan);
        TRY(first_failure(plan, err));
    }
    if (end != plan->n_events || !plan->opts.backward || !loss)
        return CLV_OK;
    if (plan->ranks)
        return clvi_tplan_sum_ranks(plan, err);
    clvi_pool_run(plan->pool, (plan->size + CHUNK - 1) / CHUNK, sum_task, plan);
    return CLV_OK;
}

const char *clvi_tplan_diagnose(clvi_tplan *plan, const float *input, clvi_tloss loss, void *user)
{
    clvi_pool *const pool = plan->pool;
    plan->suspect[0] = 0;
    plan->diagnose = true;
    plan->pool = NULL; /* in order, one lane after the other */
    (void)clvi_tplan_run(plan, input, loss, user, NULL);
    plan->pool = pool;
    plan->diagnose = false;
    return plan->suspect[0] ? plan->suspect : NULL;
}
