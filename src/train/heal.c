/* SPDX-License-Identifier: Apache-2.0 */
/* Distillation from the original (docs/method.md): who is compared with whom, which images are held out, what is
 * reported. */
#include "train/heal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "measure/preprocess.h"
#include "report/plot.h"
#include "runtime/passes.h"
#include "train/balance.h"
#include "train/heal_private.h"

#define CURVE_MAX 4096

clv_heal_opts clv_heal_opts_default(void)
{
    return (clv_heal_opts){
        .seconds = 180, .batch = 64, .rate = 8e-3, .temperature = 1, .features = 200, .shift = -1, .seed = 1};
}

static clv_status check_options(const clv_heal_opts *o, int64_t lanes, clv_error *err)
{
    if (o->steps < 0 || (o->steps == 0 && !(o->seconds > 0 && o->seconds < 1e9)))
        return FAIL(err, CLV_ERR_ARG, "a budget of %g seconds or %" PRId64 " steps makes no sense", o->seconds,
                    o->steps);
    if (o->batch < lanes || o->batch % lanes != 0 || o->batch > 65536)
        return FAIL(err, CLV_ERR_ARG, "batch is %" PRId64 ", a multiple of %" PRId64 " up to 65536 was expected",
                    o->batch, lanes);
    if (!(o->rate > 0 && o->rate < 10) || !(o->temperature > 0 && o->temperature <= 100) ||
        !(o->features >= 0 && o->features <= 1e6))
        return FAIL(err, CLV_ERR_ARG, "rate %g, temperature %g or weight of features %g is out of range", o->rate,
                    o->temperature, o->features);
    if (o->shift < -1 || o->shift > 1024 || o->held_out < 0)
        return FAIL(err, CLV_ERR_ARG, "shift %" PRId64 " or held-out %" PRId64 " is out of range", o->shift,
                    o->held_out);
    if (o->resume && !o->checkpoint)
        return FAIL(err, CLV_ERR_ARG, "to resume, say from which checkpoint");
    return CLV_OK;
}

static clv_status fold(clvi_graph **out, const clvi_graph *graph, clv_error *err)
{
    TRY(clvi_graph_clone(out, graph, err));
    TRY(clvi_pass_fold_constants(*out, err));
    return clvi_pass_fold_batchnorm(*out, err);
}

static clv_status make_plans(clvi_heal_job *j, clv_error *err)
{
    const clvi_tplan_opts o = {.batch = j->opts->batch,
                               .lanes = j->lanes,
                               .heads = j->pairs.student,
                               .n_heads = j->opts->features > 0 ? j->pairs.n : j->pairs.n_outputs,
                               .backward = true,
                               .whiten = true};
    j->pairs.n = o.n_heads;
    TRY(clvi_tplan_create(&j->plan, j->student, &j->input, &o, j->context, err));
    clv_tensor lane = j->input;
    size_t first;
    lane.dims[0] = j->opts->batch / j->lanes;
    TRY(clvi_guide_create(&j->guide, j->teacher, j->pairs.teacher, j->pairs.n, &lane,
                          clvi_tplan_own_lanes(j->plan, &first), j->context, err));
    const size_t size = clvi_tplan_size(j->plan);
    if (size == 0)
        return FAIL(err, CLV_ERR_UNSUP, "the model has no weights that can be trained");
    clvi_optimiser_opts adam = clvi_optimiser_opts_default(CLVI_ADAMW);
    adam.clip = 1;
    adam.mean = 0.99;
    adam.relative = true;
    TRY(clvi_optimiser_create(&j->optimiser, j->plan, &adam, j->context, err));
    j->best = clvi_alloc_array(size, sizeof(float));
    j->work = clvi_alloc_array(size, sizeof(float));
    j->curve_x = clvi_calloc(4 * CURVE_MAX, sizeof(double));
    j->tally = clvi_calloc((size_t)j->lanes, sizeof *j->tally);
    if (!j->best || !j->work || !j->curve_x || !j->tally)
        return FAIL(err, CLV_ERR_NOMEM, "%zu parameters", size);
    j->curve_y = j->curve_x + CURVE_MAX;
    j->judged_x = j->curve_y + CURVE_MAX;
    j->judged_y = j->judged_x + CURVE_MAX;
    memcpy(j->best, clvi_tplan_theta(j->plan), size * sizeof(float));
    return CLV_OK;
}

static clv_status make_loader(clvi_heal_job *j, clv_error *err)
{
    const int64_t shift = j->opts->shift < 0 ? j->input.dims[2] / 8 : j->opts->shift;
    const clvi_loader_opts o = {.items = j->held.items,
                                .n_items = j->held.n_train,
                                .batch = j->opts->batch,
                                .part = clv_ranks_number(j->ranks),
                                .parts = clv_ranks_count(j->ranks),
                                .chw = {j->input.dims[1], j->input.dims[2], j->input.dims[3]},
                                .shift = shift,
                                .flip = !j->opts->no_flip,
                                .seed = j->opts->seed,
                                .first_step = j->step};
    return clvi_loader_create(&j->loader, j->images, j->preprocess, &o, err);
}

static clv_status prepare(clvi_heal_job *j, const clvi_graph *graph, const clvi_graph *teacher, clv_error *err)
{
    bool found = false;
    if (graph->n_inputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "healing needs a network with one input, this one has %zu", graph->n_inputs);
    TRY(fold(&j->student, graph, err));
    TRY(clvi_balance(j->student, err));
    TRY(fold(&j->teacher, teacher, err));
    const int64_t batch = j->opts->batch;
    TRY(clvi_held_out_choose(&j->held, clv_dataset_count(j->images), j->opts->held_out, batch, err));
    TRY(clvi_held_out_input(&j->input, &j->held, j->student, j->images, j->preprocess, batch, err));
    TRY(clvi_pairs_find(&j->pairs, j->student, j->teacher, &j->input, err));
    TRY(make_plans(j, err));
    TRY(clvi_heal_hold_out(j, err));
    TRY(clvi_heal_judge(j, NULL, &j->start, err));
    if (!isfinite(j->start.loss))
        return FAIL(err, CLV_ERR_NUMERIC, "the model's or its teacher's outputs are not finite at the start");
    j->best_score = j->last = j->start;
    if (j->opts->resume)
        TRY(clvi_heal_state_load(j, &found, err));
    const uint64_t weights = clvi_hash(j->opts->seed + (uint64_t)j->step, clvi_tplan_theta(j->plan),
                                       clvi_tplan_size(j->plan) * sizeof(float));
    TRY(clvi_ranks_agree(j->ranks, weights + (uint64_t)j->held.n_train, "images, options or weights", err));
    return make_loader(j, err);
}

static clv_status report(const clvi_heal_job *j, clv_report *to, double seconds)
{
    if (!to)
        return CLV_OK;
    clvi_item *const item = clvi_report_object(clvi_report_root(to), "healing");
    clvi_report_int(item, "steps", j->step);
    clvi_report_int(item, "images_trained", j->held.n_train);
    clvi_report_int(item, "images_held_out", j->held.n);
    clvi_report_int(item, "blocks", (int64_t)(j->pairs.n - j->pairs.n_outputs));
    clvi_report_int(item, "parameters", (int64_t)clvi_tplan_size(j->plan));
    clvi_report_real(item, "seconds", seconds, 1);
    if (j->step_seconds > 0)
        clvi_report_real(item, "images_per_second", (double)j->opts->batch / j->step_seconds, 1);
    clvi_report_real(item, "loss_before", j->start.loss, 5);
    clvi_report_real(item, "loss_after", j->best_score.loss, 5);
    if (!isnan(j->start.agreement)) {
        clvi_report_real(item, "agreement_before", j->start.agreement, 2);
        clvi_report_real(item, "agreement_after", j->best_score.agreement, 2);
    }
    clvi_report_text(item, "stopped",
                     j->stopped                           ? "interrupted"
                     : j->best_score.loss < j->start.loss ? "budget spent"
                                                          : "budget spent, no better than its start");
    return CLV_OK;
}

static clv_status plot(const clvi_heal_job *j, clv_error *err)
{
    const clvi_series series[] = {{"training loss", j->curve_x, j->curve_y, j->n_curve},
                                  {"held-out divergence", j->judged_x, j->judged_y, j->n_judged}};
    const clvi_plot p = {
        .title = "Healing", .x_label = "step", .y_label = "loss", .log_y = true, .series = series, .n_series = 2};
    return j->opts->plot && j->n_curve + j->n_judged > 0 ? clvi_plot_write(&p, 1, j->opts->plot, err) : CLV_OK;
}

static void release(clvi_heal_job *j)
{
    clvi_loader_free(j->loader);
    clvi_optimiser_free(&j->optimiser);
    clvi_tplan_free(j->plan);
    clvi_guide_free(j->guide);
    clvi_graph_free(j->student);
    clvi_graph_free(j->teacher);
    clvi_held_out_free(&j->held);
    for (size_t h = 0; h < CLVI_MAX_PAIRS; h++)
        clvi_free(j->answers[h]);
    clvi_free(j->best);
    clvi_free(j->work);
    clvi_free(j->tally);
    clvi_free(j->curve_x);
    clvi_str_free(&j->log);
}

clv_status clvi_heal(clvi_graph **out, const clvi_graph *graph, const clvi_graph *teacher, clv_dataset *images,
                     const clv_preprocess *preprocess, const clv_heal_opts *opts, clv_context *context, clv_report *to,
                     clv_error *err)
{
    clv_preprocess room;
    clvi_heal_job j = {.opts = opts, .context = context, .images = images, .began = clvi_now(), .slower = 1};
    *out = NULL;
    j.ranks = context ? context->opts.ranks : NULL;
    j.lanes = clvi_ranks_lanes(j.ranks, CLVI_HEAL_LANES);
    const bool writes = clv_ranks_number(j.ranks) == 0;
    TRY(check_options(opts, j.lanes, err));
    if (!clv_dataset_is_tensor(images)) {
        if (clvi_preprocess_resolve(&room, graph, preprocess, err) != CLV_OK)
            TRY(clvi_preprocess_resolve(&room, teacher, preprocess, err));
        j.preprocess = &room;
    }
    clv_status st = prepare(&j, graph, teacher, err);
    if (st == CLV_OK)
        st = clvi_heal_run(&j, err);
    if (st == CLV_OK && writes)
        st = plot(&j, err);
    if (st == CLV_OK && !j.stopped && opts->checkpoint && writes)
        (void)unlink(opts->checkpoint);
    if (st == CLV_OK)
        st = clvi_tplan_store(j.plan, j.best, j.student, err);
    if (st == CLV_OK)
        st = report(&j, to, clvi_now() - j.began);
    if (st == CLV_OK) {
        *out = j.student;
        j.student = NULL;
    }
    release(&j);
    return st;
}
