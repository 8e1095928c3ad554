/* SPDX-License-Identifier: Apache-2.0 */
/* Training from labels: what is trained on what, what is reported. */
#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "measure/preprocess.h"
#include "report/plot.h"
#include "report/report.h"
#include "runtime/passes.h"
#include "train/train_private.h"

clv_train_opts clv_train_opts_default(void)
{
    return (clv_train_opts){.epochs = 20, .batch = 128, .decay = -1, .smoothing = 0.05, .shift = -1, .seed = 1};
}

/* --- options ----------------------------------------------------------------------------------------------------- */

static clv_status choose_method(clvi_train_job *j, clv_error *err)
{
    static const char *const schedules[] = {
        [CLVI_ONE_CYCLE] = "one-cycle", [CLVI_COSINE] = "cosine", [CLVI_MULTI_STEP] = "multi-step"};
    const clv_train_opts *const o = j->opts;
    const char *const optimiser = o->optimiser ? o->optimiser : "sgd", *const schedule = o->schedule;
    if (strcmp(optimiser, "sgd") != 0 && strcmp(optimiser, "adamw") != 0)
        return FAIL(err, CLV_ERR_ARG, "optimiser \"%s\" is unknown, there are sgd and adamw", optimiser);
    j->kind = strcmp(optimiser, "sgd") == 0 ? CLVI_NESTEROV : CLVI_ADAMW;
    j->schedule = CLVI_ONE_CYCLE;
    bool found = !schedule;
    for (int i = CLVI_ONE_CYCLE; i <= CLVI_MULTI_STEP && schedule; i++)
        if (strcmp(schedules[i], schedule) == 0) {
            j->schedule = (clvi_schedule)i;
            found = true;
        }
    if (!found)
        return FAIL(err, CLV_ERR_ARG, "schedule \"%s\" is unknown, there are one-cycle, cosine and multi-step",
                    schedule);
    const bool sgd = j->kind == CLVI_NESTEROV;
    j->rate = o->rate > 0 ? o->rate : sgd ? 0.1 : 2e-3;
    j->decay = o->decay >= 0 ? o->decay : sgd ? 5e-4 : 0.05;
    return CLV_OK;
}

static clv_status check_options(const clv_train_opts *o, int64_t lanes, clv_error *err)
{
    if (o->epochs < 1 || o->epochs > 1000000)
        return FAIL(err, CLV_ERR_ARG, "%" PRId64 " epochs, 1 to 1000000 are possible", o->epochs);
    if (o->batch < lanes || o->batch % lanes != 0 || o->batch > 65536)
        return FAIL(err, CLV_ERR_ARG, "batch is %" PRId64 ", a multiple of %" PRId64 " up to 65536 was expected",
                    o->batch, lanes);
    if (!(o->rate >= 0 && o->rate < 1e3) || !(o->decay < 10) || !(o->clip >= 0 && o->clip < 1e9))
        return FAIL(err, CLV_ERR_ARG, "rate %g, decay %g or clip %g is out of range", o->rate, o->decay, o->clip);
    if (!(o->smoothing >= 0 && o->smoothing < 1))
        return FAIL(err, CLV_ERR_ARG, "smoothing is %g, 0 up to 1 was expected", o->smoothing);
    if (o->shift < -1 || o->shift > 1024 || o->held_out < 0 || o->cutout < 0 || o->cutout > 1024)
        return FAIL(err, CLV_ERR_ARG, "shift %" PRId64 ", cutout %" PRId64 " or held-out %" PRId64 " is out of range",
                    o->shift, o->cutout, o->held_out);
    if (!(o->crop >= 0 && o->crop <= 1) || !(o->jitter >= 0 && o->jitter <= 1) || !(o->mixup >= 0 && o->mixup <= 1) ||
        !(o->average >= 0 && o->average < 1))
        return FAIL(err, CLV_ERR_ARG, "crop %g, jitter %g, mixup %g or average %g is not between 0 and 1", o->crop,
                    o->jitter, o->mixup, o->average);
    if (o->resume && !o->checkpoint)
        return FAIL(err, CLV_ERR_ARG, "to resume, say from which checkpoint");
    return CLV_OK;
}

/* --- plans ------------------------------------------------------------------------------------------------------- */

/* The output, or what a Softmax makes it of. */
static clv_status find_logits(clvi_train_job *j, clv_error *err)
{
    const clvi_graph *const g = j->source;
    if (g->n_inputs != 1 || g->n_outputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "training needs a network with one input and one output, this one has %zu, %zu",
                    g->n_inputs, g->n_outputs);
    j->logits = g->outputs[0];
    for (size_t i = 0; i < g->n_nodes; i++)
        if (clvi_node_is(g->nodes[i], "Softmax") && g->nodes[i]->out[0] == g->outputs[0])
            j->logits = g->nodes[i]->in[0];
    return CLV_OK;
}

static clv_status check_weights(const clvi_train_job *j, clv_error *err)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(j->plan, &params);
    if (n == 0)
        return FAIL(err, CLV_ERR_UNSUP, "the model has no weights that can be trained");
    for (size_t i = 0; i < n; i++) {
        const clv_tensor *const t = j->source->values[params[i].value].constant;
        if (!t || t->dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "weights \"%s\" are not stored as float32", params[i].name);
    }
    const clv_tensor *const y = clvi_tplan_head_shape(j->plan, 0);
    if (y->rank != 2 || y->dims[1] < 2)
        return FAIL(err, CLV_ERR_UNSUP, "the output is no row of classes for each image");
    if (clv_dataset_classes(j->images) > y->dims[1])
        return FAIL(err, CLV_ERR_DATA, "the images have %" PRId64 " classes, the network tells %" PRId64 " apart",
                    clv_dataset_classes(j->images), y->dims[1]);
    return CLV_OK;
}

static clv_status make_plans(clvi_train_job *j, clv_error *err)
{
    clvi_tplan_opts o = {.batch = j->opts->batch,
                         .lanes = j->lanes,
                         .heads = &j->logits,
                         .n_heads = 1,
                         .backward = true,
                         .batch_norm = true};
    TRY(clvi_tplan_create(&j->plan, j->source, &j->input, &o, j->context, err));
    TRY(check_weights(j, err));
    j->classes = clvi_tplan_head_shape(j->plan, 0)->dims[1];
    o.backward = o.batch_norm = false;
    TRY(clvi_tplan_create(&j->judge, j->graph, &j->input, &o, j->context, err));
    clvi_optimiser_opts how = clvi_optimiser_opts_default(j->kind);
    how.decay = j->decay;
    how.clip = j->opts->clip;
    how.mean = j->opts->average;
    TRY(clvi_optimiser_create(&j->optimiser, j->plan, &how, j->context, err));
    const size_t size = clvi_tplan_size(j->plan);
    const float *const state = clvi_tplan_state(j->plan, &j->n_state);
    j->best = clvi_alloc_array(size + 1, sizeof(float));
    j->best_state = clvi_alloc_array(j->n_state + 1, sizeof(float));
    j->state_before = clvi_alloc_array(j->n_state + 1, sizeof(float));
    j->state_average = clvi_alloc_array(j->n_state + 1, sizeof(float));
    j->tally = clvi_calloc((size_t)j->lanes, sizeof *j->tally);
    j->curves = clvi_calloc(CLVI_TRAIN_CURVES, sizeof *j->curves);
    if (!j->best || !j->best_state || !j->curves || !j->state_before || !j->state_average || !j->tally)
        return FAIL(err, CLV_ERR_NOMEM, "%zu parameters", size);
    memcpy(j->best, clvi_tplan_theta(j->plan), size * sizeof(float));
    memcpy(j->best_state, state, j->n_state * sizeof(float));
    memcpy(j->state_average, state, j->n_state * sizeof(float));
    return CLV_OK;
}

static clv_status make_loader(clvi_train_job *j, clv_error *err)
{
    const int64_t usual = j->opts->crop > 0 ? 0 : j->input.dims[2] / 8;
    const int64_t shift = j->opts->shift < 0 ? usual : j->opts->shift;
    const clvi_loader_opts o = {.items = j->held.items,
                                .n_items = j->held.n_train,
                                .batch = j->opts->batch,
                                .part = clv_ranks_number(j->ranks),
                                .parts = clv_ranks_count(j->ranks),
                                .chw = {j->input.dims[1], j->input.dims[2], j->input.dims[3]},
                                .shift = shift,
                                .flip = !j->opts->no_flip,
                                .cutout = j->opts->cutout,
                                .crop = j->opts->crop,
                                .jitter = j->opts->jitter,
                                .mixup = j->opts->mixup,
                                .seed = j->opts->seed,
                                .first_step = j->step,
                                .labels = true};
    return clvi_loader_create(&j->loader, j->images, j->preprocess, &o, err);
}

static clv_status check_labels(const clvi_train_job *j, clv_error *err)
{
    const int64_t *const items = j->held.items;
    for (int64_t i = 0; i < j->held.n_train + j->held.n; i++)
        if (clv_dataset_label(j->images, items[i]) < 0)
            return FAIL(err, CLV_ERR_DATA, "%s has no label", clv_dataset_name(j->images, items[i]));
    return CLV_OK;
}

static clv_status prepare(clvi_train_job *j, const clvi_graph *graph, clv_error *err)
{
    const int64_t batch = j->opts->batch;
    bool found = false;
    TRY(clvi_graph_clone(&j->source, graph, err));
    TRY(clvi_pass_fold_constants(j->source, err));
    TRY(clvi_graph_clone(&j->graph, j->source, err));
    TRY(find_logits(j, err));
    TRY(clvi_held_out_choose(&j->held, clv_dataset_count(j->images), j->opts->held_out, batch, err));
    TRY(check_labels(j, err));
    TRY(clvi_held_out_input(&j->input, &j->held, j->source, j->images, j->preprocess, batch, err));
    j->per_epoch = j->held.n_train / batch;
    j->total = j->opts->epochs * j->per_epoch;
    TRY(make_plans(j, err));
    TRY(clvi_held_out_read(&j->held, j->images, j->preprocess, &j->input, j->context, err));
    TRY(clvi_train_judge(j, &j->best_score, err));
    if (!isfinite(j->best_score.loss))
        return FAIL(err, CLV_ERR_NUMERIC, "the outputs are not finite before training");
    if (j->opts->resume)
        TRY(clvi_train_state_load(j, &found, err));
    j->first_step = j->step;
    TRY(clvi_ranks_agree(j->ranks, clvi_train_state_hash(j), "images, options or weights", err));
    return make_loader(j, err);
}

/* --- what comes out ---------------------------------------------------------------------------------------------- */

static clv_status report(const clvi_train_job *j, clv_report *to)
{
    if (!to)
        return CLV_OK;
    clvi_item *const item = clvi_report_object(clvi_report_root(to), "training");
    clvi_report_int(item, "epochs", j->step / j->per_epoch);
    clvi_report_int(item, "steps", j->step);
    clvi_report_int(item, "images_trained", j->held.n_train);
    clvi_report_int(item, "images_held_out", j->held.n);
    clvi_report_int(item, "classes", j->classes);
    clvi_report_int(item, "parameters", (int64_t)clvi_tplan_size(j->plan));
    clvi_report_real(item, "seconds", clvi_now() - j->began, 1);
    if (j->step_seconds > 0)
        clvi_report_real(item, "images_per_second", (double)j->opts->batch / j->step_seconds, 1);
    clvi_report_int(item, "best_epoch", j->best_epoch);
    clvi_report_real(item, "held_out_loss", j->best_score.loss, 5);
    clvi_report_real(item, "held_out_top1", j->best_score.accuracy, 2);
    clvi_report_text(item, "stopped", j->stopped ? "interrupted" : "all epochs done");
    return CLV_OK;
}

static clv_status plot(const clvi_train_job *j, clv_error *err)
{
    static const char *const labels[] = {"training loss", "held-out loss", "training accuracy", "held-out accuracy"};
    clvi_series s[CLVI_TRAIN_CURVES];
    size_t points = 0;
    for (int i = 0; i < CLVI_TRAIN_CURVES; i++) {
        s[i] = (clvi_series){labels[i], j->curves[i].x, j->curves[i].y, j->curves[i].n};
        points += s[i].n;
    }
    const clvi_plot plots[] = {
        {.title = "Loss", .x_label = "step", .y_label = "cross-entropy", .series = s, .n_series = 2},
        {.title = "Accuracy", .x_label = "epoch", .y_label = "top-1, %", .series = s + 2, .n_series = 2}};
    return j->opts->plot && points > 0 ? clvi_plot_write(plots, s[2].n + s[3].n ? 2 : 1, j->opts->plot, err) : CLV_OK;
}

/* The best into the graph that is given away. */
static clv_status keep_best(clvi_train_job *j, clv_error *err)
{
    size_t n;
    memcpy(clvi_tplan_state(j->plan, &n), j->best_state, j->n_state * sizeof(float));
    return clvi_tplan_store(j->plan, j->best, j->graph, err);
}

static void release(clvi_train_job *j)
{
    clvi_loader_free(j->loader);
    clvi_optimiser_free(&j->optimiser);
    clvi_tplan_free(j->plan);
    clvi_tplan_free(j->judge);
    clvi_graph_free(j->source);
    clvi_graph_free(j->graph);
    clvi_held_out_free(&j->held);
    clvi_free(j->best);
    clvi_free(j->best_state);
    clvi_free(j->state_before);
    clvi_free(j->state_average);
    clvi_free(j->tally);
    clvi_free(j->curves);
    clvi_str_free(&j->log);
}

clv_status clvi_train(clvi_graph **out, const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                      const clv_train_opts *opts, clv_context *context, clv_report *to, clv_error *err)
{
    clv_preprocess room;
    clvi_train_job j = {.opts = opts, .context = context, .images = images, .began = clvi_now()};
    *out = NULL;
    j.ranks = context ? context->opts.ranks : NULL;
    j.lanes = clvi_ranks_lanes(j.ranks, CLVI_TRAIN_LANES);
    TRY(check_options(opts, j.lanes, err));
    TRY(choose_method(&j, err));
    if (!clv_dataset_is_tensor(images)) {
        TRY(clvi_preprocess_resolve(&room, graph, preprocess, err));
        j.preprocess = &room;
    }
    clv_status st = prepare(&j, graph, err);
    if (st == CLV_OK)
        st = clvi_train_run(&j, err);
    const bool writes = clv_ranks_number(j.ranks) == 0;
    if (st == CLV_OK && writes)
        st = plot(&j, err);
    if (st == CLV_OK)
        st = keep_best(&j, err);
    if (st == CLV_OK)
        st = report(&j, to);
    if (st == CLV_OK && !j.stopped && opts->checkpoint && writes)
        (void)unlink(opts->checkpoint);
    if (st == CLV_OK) {
        *out = j.graph;
        clvi_tplan_free(j.judge); /* borrows it */
        j.judge = NULL;
        j.graph = NULL;
    }
    release(&j);
    return st;
}
