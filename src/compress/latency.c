/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/latency.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "measure/pair_times.h"

#define ROUNDS      7    /* searches at most */
#define PAIR_ROUNDS 11   /* turns of the original and the network in the making */
#define PAIR_BLOCK  0.03 /* seconds of each in a turn */
#define WARM        0.2  /* seconds before the first measurement: the clock of the processor settles */
#define CLOSE_BELOW 0.02 /* of the target: near enough to stop */
#define CLOSE_ABOVE 0.005
#define REACHED     1.05 /* of the target: more than that is not reached */

clvi_latency_figures clvi_latency_unknown(void)
{
    const double nan = (double)NAN;
    return (clvi_latency_figures){
        .before = nan, .target = nan, .predicted = nan, .planned = nan, .after = nan, .percent = 50};
}

/* --- whole networks --------------------------------------------------------------------------------------------- */

static clv_status open_job(clvi_bench_job *job, const clvi_graph *graph, const clv_tensor *input, clv_context *context,
                           clv_error *err)
{
    clv_input_shape shape = {.rank = input->rank};
    const clv_bench_opts opts = {.shapes = &shape, .n_shapes = 1, .batch = 1, .runs = 1};
    memcpy(shape.dims, input->dims, sizeof shape.dims);
    return clvi_bench_job_create(job, graph, &opts, context, err);
}

static clv_status warm(clvi_bench_job *job, clv_error *err)
{
    clvi_times times = {0};
    const clv_status st = clvi_bench_job_time(job, 2, WARM, &times, err);
    clvi_times_free(&times);
    return st;
}

clv_status clvi_latency_measure(clvi_latency_figures *figures, const clvi_graph *original, const clvi_graph *result,
                                const clv_tensor *input, clv_context *context, clv_error *err)
{
    clvi_bench_job a = {0}, b = {0};
    clvi_pair_times pair;
    clv_status st = open_job(&a, original, input, context, err);
    if (st == CLV_OK)
        st = open_job(&b, result, input, context, err);
    if (st == CLV_OK)
        st = warm(&a, err);
    if (st == CLV_OK)
        st = clvi_pair_measure(&pair, &a, &b, PAIR_ROUNDS, PAIR_BLOCK, figures->percent, err);
    if (st == CLV_OK) {
        figures->before = pair.a;
        figures->after = pair.ratio * pair.a;
    }
    clvi_bench_job_free(&a);
    clvi_bench_job_free(&b);
    return st;
}

/* --- the search ------------------------------------------------------------------------------------------------- */

typedef struct hunt {
    const clvi_latency_task *task;
    const clvi_budget *budget;
    clvi_latency_model model;
    clvi_costs costs;
    clvi_bench_job original;
    double before, target;
    const clvi_candidate **as; /* [sites] */
    size_t *now, *best;        /* [sites] choices */
    double best_seconds;       /* of `best`, measured; NAN: none yet */
} hunt;

/* Least times of steps, in the unit of whole runs: what a whole run takes more than the sum of the least is assumed to
 * be the same share of every step. */
static clv_status set_costs(hunt *h, clv_error *err)
{
    const size_t n = h->task->sites->n;
    double sum = h->model.rest;
    h->costs.item = clvi_calloc(n, CLVI_CANDIDATES_MAX * sizeof *h->costs.item);
    if (!h->costs.item)
        return FAIL(err, CLV_ERR_NOMEM, "costs of %zu convolutions", n);
    for (size_t i = 0; i < n; i++)
        sum += h->model.dense[i];
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; a < h->task->lists[i].n; a++) {
            const double seconds = h->model.seconds[i * CLVI_CANDIDATES_MAX + a];
            const bool slower = h->task->lists[i].item[a].form && !(seconds < h->model.dense[i]);
            h->costs.item[i * CLVI_CANDIDATES_MAX + a] = slower ? HUGE_VAL : seconds / sum * h->before;
        }
    h->costs.whole = h->before;
    return CLV_OK;
}

static double cost_of(const hunt *h, const size_t *chosen)
{
    double cost = h->costs.whole;
    for (size_t i = 0; i < h->task->sites->n; i++)
        if (h->task->lists[i].n) {
            const double *item = h->costs.item + i * CLVI_CANDIDATES_MAX;
            cost += item[chosen[i]] - item[0];
        }
    return cost;
}

/* Build the network that `now` describes and time it beside the original. */
static clv_status measure_choice(double *seconds, hunt *h, clv_error *err)
{
    const clvi_latency_task *t = h->task;
    clvi_trial trial;
    clvi_bench_job job = {0};
    clvi_pair_times pair;
    for (size_t i = 0; i < t->sites->n; i++)
        h->as[i] = t->lists[i].n ? &t->lists[i].item[h->now[i]] : NULL;
    TRY(clvi_trial_create(&trial, t->original, t->sites, h->as, t->chains, t->context, err));
    clv_status st = open_job(&job, trial.graph, t->input, t->context, err);
    if (st == CLV_OK)
        st = clvi_pair_measure(&pair, &h->original, &job, PAIR_ROUNDS, PAIR_BLOCK, h->budget->percent, err);
    if (st == CLV_OK)
        *seconds = h->budget->relative ? pair.ratio * h->before : pair.b;
    clvi_bench_job_free(&job);
    clvi_trial_free(&trial);
    return st;
}

/* How far a network is from the target, above it counted double; an unknown one is the farthest. */
static double distance(const hunt *h, double seconds)
{
    const double d = (seconds - h->target) / h->target;
    return isnan(seconds) ? HUGE_VAL : d > 0 ? 2 * d : -d;
}

static bool is_close(const hunt *h, double seconds)
{
    return seconds <= (1 + CLOSE_ABOVE) * h->target && seconds >= (1 - CLOSE_BELOW) * h->target;
}

/* One search at `amount` and its measurement; *again: the choice is the one of the search before. */
static clv_status search_once(double *seconds, bool *cheapest, bool *again, hunt *h, double amount, size_t round,
                              clvi_latency_figures *f, clv_error *err)
{
    const size_t bytes = h->task->sites->n * sizeof *h->now;
    size_t *before = clvi_calloc(1, bytes);
    clv_error reason;
    if (!before)
        return FAIL(err, CLV_ERR_NOMEM, "choice among %zu convolutions", h->task->sites->n);
    memcpy(before, h->now, bytes);
    clv_status st = clvi_plan_choose(h->now, amount, &h->costs, h->task->lists, h->task->sites, &reason);
    *cheapest = st == CLV_ERR_BUDGET;
    *again = round > 0 && memcmp(before, h->now, bytes) == 0;
    clvi_free(before);
    if (st != CLV_OK && !*cheapest) {
        if (err)
            *err = reason;
        return st;
    }
    if (*again)
        return CLV_OK;
    f->rounds++;
    TRY(measure_choice(seconds, h, err));
    if (distance(h, *seconds) < distance(h, h->best_seconds)) {
        h->best_seconds = *seconds;
        memcpy(h->best, h->now, bytes);
        f->predicted = cost_of(h, h->now);
    }
    return CLV_OK;
}

/* The model is wrong by some factor, which hardly changes from one budget to the next: ask for less or more until what
 * is measured meets the target. [low, high] are budgets that gave too little and too much time. */
static clv_status search(hunt *h, clvi_latency_figures *f, clv_error *err)
{
    double low = 0, high = HUGE_VAL, amount = h->target, seconds = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        bool cheapest = false, again = false;
        clvi_progress(h->task->context, "networks that meet the budget", (int64_t)round, ROUNDS);
        TRY(search_once(&seconds, &cheapest, &again, h, amount, round, f, err));
        if (again || is_close(h, seconds))
            break;
        if (seconds > h->target && cheapest)
            break; /* nothing is faster */
        if (seconds > h->target)
            high = amount;
        else
            low = amount;
        amount += h->target - seconds;
        if (!(amount > low && amount < high))
            amount = isinf(high) ? low + 0.5 * (h->before - low) : 0.5 * (low + high);
    }
    clvi_progress(h->task->context, "networks that meet the budget", ROUNDS, ROUNDS);
    f->planned = h->best_seconds;
    if (h->best_seconds > REACHED * h->target)
        return FAIL(err, CLV_ERR_BUDGET,
                    "the budget is %.4g ms of %.4g ms; the nearest point that can be reached is %.4g ms (%.1f %%), as "
                    "measured with %d threads",
                    1e3 * h->target, 1e3 * h->before, 1e3 * h->best_seconds, 100 * h->best_seconds / h->before,
                    clv_context_threads(h->task->context));
    return CLV_OK;
}

static void close_hunt(hunt *h)
{
    clvi_latency_model_free(&h->model);
    clvi_costs_free(&h->costs);
    clvi_bench_job_free(&h->original);
    clvi_free(h->as);
    clvi_free(h->now);
    clvi_free(h->best);
}

static clv_status open_hunt(hunt *h, clvi_latency_figures *f, clv_error *err)
{
    const size_t n = h->task->sites->n;
    clvi_pair_times pair;
    h->as = clvi_calloc(n, sizeof *h->as);
    h->now = clvi_calloc(n, sizeof *h->now);
    h->best = clvi_calloc(n, sizeof *h->best);
    if (!h->as || !h->now || !h->best)
        return FAIL(err, CLV_ERR_NOMEM, "choice among %zu convolutions", n);
    TRY(open_job(&h->original, h->task->original, h->task->input, h->task->context, err));
    TRY(warm(&h->original, err));
    TRY(clvi_latency_model_create(&h->model, h->task, err));
    TRY(clvi_pair_measure(&pair, &h->original, &h->original, PAIR_ROUNDS, PAIR_BLOCK, h->budget->percent, err));
    f->before = h->before = pair.a;
    f->percent = h->budget->percent;
    f->target = h->target = h->budget->relative ? h->budget->amount * h->before : h->budget->amount;
    f->measured = (int64_t)h->model.measured;
    f->cached = (int64_t)h->model.cached;
    return set_costs(h, err);
}

clv_status clvi_latency_choose(size_t *chosen, clvi_latency_figures *figures, const clvi_latency_task *task,
                               const clvi_budget *budget, clv_error *err)
{
    hunt h = {.task = task, .budget = budget, .best_seconds = (double)NAN};
    clv_status st = open_hunt(&h, figures, err);
    if (st == CLV_OK)
        st = search(&h, figures, err);
    for (size_t i = 0; st == CLV_OK && i < task->sites->n; i++)
        if (task->lists[i].n)
            chosen[i] = h.best[i];
    close_hunt(&h);
    return st;
}

clv_status clvi_latency_forbid_slower(clvi_costs *costs, clvi_latency_figures *figures, const clvi_latency_task *task,
                                      clv_error *err)
{
    clvi_latency_model model;
    TRY(clvi_latency_model_create(&model, task, err));
    for (size_t i = 0; i < task->sites->n; i++)
        for (size_t a = 1; a < task->lists[i].n; a++)
            if (!(model.seconds[i * CLVI_CANDIDATES_MAX + a] < model.dense[i]))
                costs->item[i * CLVI_CANDIDATES_MAX + a] = HUGE_VAL;
    figures->measured = (int64_t)model.measured;
    figures->cached = (int64_t)model.cached;
    clvi_latency_model_free(&model);
    return CLV_OK;
}

/* --- the report ------------------------------------------------------------------------------------------------- */

static void report_ms(clvi_item *item, const char *key, double seconds)
{
    if (!isnan(seconds))
        clvi_report_real(item, key, 1e3 * seconds, 4);
}

void clvi_report_latency(const clvi_latency_figures *f, const clv_context *context, clvi_item *item)
{
    clvi_report_int(item, "threads", clv_context_threads(context));
    clvi_report_real(item, "percentile", f->percent, 0);
    report_ms(item, "before_ms", f->before);
    report_ms(item, "target_ms", f->target);
    report_ms(item, "predicted_ms", f->predicted);
    report_ms(item, "planned_ms", f->planned);
    report_ms(item, "after_ms", f->after);
    if (!isnan(f->after) && f->before > 0)
        clvi_report_real(item, "ratio", f->after / f->before, 3);
    clvi_report_int(item, "networks_measured", f->rounds);
    clvi_report_int(item, "steps_measured", f->measured);
    clvi_report_int(item, "steps_known", f->cached);
}
