/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a healing, and what is kept of them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "onnx/onnx.h"
#include "train/heal_private.h"
#include "train/loss.h"

#define JUDGEMENTS 12
#define CURVE_MAX  4096
#define MEASURED   10   /* steps without moving */
#define TOO_BAD    4    /* times the best held-out loss: more than the first steps of a good rate do */
#define SLOWER     0.25 /* of the rate from there on */
#define GUIDED     0.3  /* progress until which the blocks weigh all that they may */
#define AT_LAST    0.05 /* their share of it at the end */

/* The student's heads of a lane against what the teacher has said of it. */
static clv_status lane_loss(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err)
{
    clvi_heal_job *const j = user;
    const clvi_pairs *const p = &j->pairs;
    const size_t rows = (size_t)(j->opts->batch / j->lanes);
    const double share = 1.0 / (double)j->lanes, blocks = (double)(p->n - p->n_outputs);
    double loss = 0;
    size_t first;
    (void)worker;
    (void)err;
    (void)clvi_tplan_own_lanes(plan, &first);
    for (size_t h = 0; h < p->n; h++) {
        const clv_tensor *const shape = clvi_tplan_head_shape(plan, h);
        const size_t count = (size_t)clv_tensor_count(shape);
        const float *const s = clvi_tplan_head(plan, lane, h), *const t = clvi_guide_head(j->guide, lane, h);
        float *const g = clvi_tplan_head_gradient(plan, lane, h);
        if (p->classes[h])
            loss += share / (double)rows *
                    clvi_loss_kl(g, s, t, rows, count / rows, j->opts->temperature, share / (double)rows, NULL);
        else if (h < p->n_outputs)
            loss += share * clvi_loss_relative(j->optimiser.loops, g, s, t, count, share);
        else
            loss += share * j->features / blocks *
                    clvi_loss_relative(j->optimiser.loops, g, s, t, count, share * j->features / blocks);
    }
    j->tally[first + lane] = (clvi_heal_tally){.loss = loss};
    return CLV_OK;
}

/* By the clock of this process. */
static double clock_progress(const clvi_heal_job *j)
{
    const double left = j->opts->seconds - 2 * j->judge_seconds; /* for the last judgement and writing */
    return fmin(1, (j->spent + clvi_now() - j->began) / fmax(left, 1e-3));
}

static double progress(const clvi_heal_job *j)
{
    if (j->opts->steps > 0)
        return (double)j->step / (double)j->opts->steps;
    return j->ranks ? j->progress : clock_progress(j);
}

clv_status clvi_heal_add_up(clvi_heal_job *j, clvi_heal_tally *sum, clv_error *err)
{
    size_t first;
    const size_t own = clvi_tplan_own_lanes(j->plan, &first);
    j->tally[first].stop = clvi_check_cancel(j->context, NULL) != CLV_OK;
    j->tally[first].progress = clock_progress(j);
    TRY(clvi_ranks_gather(j->ranks, j->tally, own * sizeof *j->tally, err));
    *sum = (clvi_heal_tally){.progress = j->tally[0].progress};
    for (int64_t l = 0; l < j->lanes; l++) {
        sum->loss += j->tally[l].loss;
        sum->same += j->tally[l].same;
        sum->classed += j->tally[l].classed;
        sum->stop += j->tally[l].stop;
    }
    j->progress = sum->progress;
    return CLV_OK;
}

/* Rank 0 writes the files. */
static bool writes(const clvi_heal_job *j)
{
    return clv_ranks_number(j->ranks) == 0;
}

/* --- judging and keeping ----------------------------------------------------------------------------------------- */

static clv_status write_best(const clvi_heal_job *j, clv_error *err)
{
    clvi_graph *copy = NULL;
    if (!j->opts->save || !writes(j))
        return CLV_OK;
    clv_status st = clvi_graph_clone(&copy, j->student, err);
    if (st == CLV_OK)
        st = clvi_tplan_store(j->plan, j->best, copy, err);
    if (st == CLV_OK)
        st = clvi_onnx_write(copy, j->opts->save, err);
    clvi_graph_free(copy);
    return st;
}

static clv_status consider(clvi_heal_job *j, const float *theta, bool *better, clv_error *err)
{
    TRY(clvi_heal_judge(j, theta, &j->last, err));
    if (!(j->last.loss < j->best_score.loss))
        return CLV_OK;
    j->best_score = j->last;
    memcpy(j->best, theta ? theta : clvi_tplan_theta(j->plan), clvi_tplan_size(j->plan) * sizeof(float));
    *better = true;
    return CLV_OK;
}

static void log_line(clvi_heal_job *j, double loss, double rate)
{
    if (j->opts->log)
        clvi_str_printf(&j->log,
                        "{\"step\": %" PRId64 ", \"loss\": %.6g, \"rate\": %.4g, \"images_per_second\": %.1f, "
                        "\"held_out_loss\": %.6g, \"best_loss\": %.6g, \"seconds\": %.2f}\n",
                        j->step, loss, rate, (double)j->opts->batch / j->step_seconds, j->last.loss, j->best_score.loss,
                        j->spent + clvi_now() - j->began);
}

static clv_status judge_all(clvi_heal_job *j, bool last, clv_error *err)
{
    bool better = false;
    TRY(consider(j, j->optimiser.average, &better, err));
    if (last)
        TRY(consider(j, NULL, &better, err));
    if (better)
        TRY(write_best(j, err));
    const double gone = j->spent + clvi_now() - j->began, p = fmax(progress(j), 1e-6);
    const double eta = j->opts->steps > 0 ? gone * (1 - p) / p : fmax(0, j->opts->seconds - gone);
    clvi_log(j->context, CLV_LOG_INFO,
             "step %" PRId64 ": loss %.4f, held out %.4f (start %.4f, best %.4f, agreement %.2f %%), %.0f images/s, "
             "about %.0f s to go",
             j->step, j->smooth_loss, j->last.loss, j->start.loss, j->best_score.loss, j->best_score.agreement,
             (double)j->opts->batch / j->step_seconds, eta);
    if (j->n_judged < CURVE_MAX) {
        j->judged_x[j->n_judged] = (double)j->step;
        j->judged_y[j->n_judged++] = j->last.loss;
    }
    if (j->opts->log && j->log.text && writes(j))
        TRY(clvi_file_replace(j->opts->log, j->log.text, j->log.size, err));
    return CLV_OK;
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

static clv_status fail_not_finite(clvi_heal_job *j, double loss, clv_error *err)
{
    const char *const where = clvi_tplan_diagnose(j->plan, j->batch, lane_loss, j);
    return FAIL(err, CLV_ERR_NUMERIC, "step %" PRId64 ": the loss is %g; NaN or Inf first %s", j->step, loss,
                where ? where : "in the loss");
}

/* Adam's first steps move every weight by the whole rate, whatever its gradient: the moments are measured first. */
static double rate_now(const clvi_heal_job *j)
{
    return j->step < MEASURED ? 0 : j->slower * j->opts->rate * clvi_schedule_factor(CLVI_ONE_CYCLE, progress(j));
}

/* The blocks show the way; but a small network that copies them as well as it can does not answer as well as it can. */
static double features_now(const clvi_heal_job *j)
{
    return j->opts->features * pow(AT_LAST, fmax(0, progress(j) - GUIDED) / (1 - GUIDED));
}

static clv_status one_step(clvi_heal_job *j, bool *stop, clv_error *err)
{
    clvi_batch batch;
    clvi_heal_tally sum;
    const double began = clvi_now(), rate = rate_now(j);
    TRY(clvi_loader_next(j->loader, &batch, err));
    j->batch = batch.images;
    j->features = features_now(j);
    TRY(clvi_guide_run(j->guide, batch.images, err));
    TRY(clvi_tplan_run(j->plan, batch.images, lane_loss, j, err));
    TRY(clvi_heal_add_up(j, &sum, err));
    const double loss = sum.loss;
    *stop = sum.stop > 0;
    if (!isfinite(loss) || !isfinite(clvi_optimiser_step(&j->optimiser, rate)))
        return fail_not_finite(j, loss, err);
    j->step++;
    const double seconds = clvi_now() - began;
    j->step_seconds = j->step_seconds > 0 ? 0.95 * j->step_seconds + 0.05 * seconds : seconds;
    j->smooth_loss = j->smooth_loss > 0 ? 0.95 * j->smooth_loss + 0.05 * loss : loss;
    if (j->n_curve < CURVE_MAX && j->step % 4 == 0) {
        j->curve_x[j->n_curve] = (double)j->step;
        j->curve_y[j->n_curve++] = j->smooth_loss;
    }
    if (j->step % 10 == 0)
        log_line(j, loss, rate);
    return CLV_OK;
}

/* Keep the state as it was after the last whole step, and say where. */
static clv_status rescue(clvi_heal_job *j, clv_status st, clv_error *err)
{
    if (!clvi_ranks_lost(j->ranks) || !writes(j) || !j->opts->checkpoint)
        return st;
    TRY(clvi_heal_state_save(j, err));
    return FAIL(err, st, "a rank is lost; step %" PRId64 " is kept in \"%s\": go on with --resume", j->step,
                j->opts->checkpoint);
}

/* A rate that suits one network wrecks another: back to the best, and on in smaller steps. */
static void step_back(clvi_heal_job *j)
{
    if (j->last.loss <= TOO_BAD * j->best_score.loss)
        return;
    memcpy(clvi_tplan_theta(j->plan), j->best, clvi_tplan_size(j->plan) * sizeof(float));
    clvi_optimiser_restart(&j->optimiser);
    j->slower *= SLOWER;
    clvi_log(j->context, CLV_LOG_INFO, "step %" PRId64 ": back to the best, and on with a largest rate of %.3g",
             j->step, j->slower * j->opts->rate);
}

clv_status clvi_heal_run(clvi_heal_job *j, clv_error *err)
{
    while (progress(j) < 1 && !j->stopped) {
        bool stop = false;
        const clv_status st = one_step(j, &stop, err);
        if (st != CLV_OK)
            return rescue(j, st, err);
        const double p = progress(j);
        clvi_progress(j->context, "healing", (int64_t)(1000 * p), 1000);
        j->stopped = stop;
        if (j->stopped || (p < 1 && p < j->next_judgement))
            continue;
        if (p < 1) {
            j->next_judgement = floor(p * JUDGEMENTS + 1) / JUDGEMENTS;
            TRY(judge_all(j, false, err));
            step_back(j);
            if (j->opts->checkpoint && writes(j))
                TRY(clvi_heal_state_save(j, err));
        }
    }
    if (j->stopped && j->opts->checkpoint && writes(j))
        TRY(clvi_heal_state_save(j, err));
    return judge_all(j, true, err);
}
