/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a training, and what is kept of them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "onnx/onnx.h"
#include "train/loss.h"
#include "train/train_private.h"

#define LOG_EVERY  10 /* steps */
#define SAVE_EVERY 60 /* seconds, within an epoch */

static void add_point(clvi_train_job *j, int curve, double x, double y)
{
    clvi_train_curve *const c = &j->curves[curve];
    if (c->n < CLVI_TRAIN_CURVE_MAX) {
        c->x[c->n] = x;
        c->y[c->n++] = y;
    }
}

static clv_status lane_loss(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err)
{
    clvi_train_job *const j = user;
    const size_t rows = (size_t)(j->opts->batch / j->lanes);
    size_t first;
    int64_t right = 0;
    (void)worker;
    (void)err;
    (void)clvi_tplan_own_lanes(plan, &first);
    clvi_train_tally *const t = &j->tally[first + lane];
    const clvi_batch *const b = &j->batch;
    const clvi_labels labels = {b->labels + lane * rows, b->others ? b->others + lane * rows : NULL,
                                b->shares ? b->shares + lane * rows : NULL};
    t->loss = clvi_loss_mixed(clvi_tplan_head_gradient(plan, lane, 0), clvi_tplan_head(plan, lane, 0), &labels, rows,
                              (size_t)j->classes, j->opts->smoothing, 1.0 / (double)j->opts->batch, &right);
    t->right = (double)right;
    t->stop = 0;
    return CLV_OK;
}

/* The tallies of all ranks, added up in the order of the lanes. */
static clv_status add_up(clvi_train_job *j, clvi_train_tally *sum, clv_error *err)
{
    size_t first;
    const size_t own = clvi_tplan_own_lanes(j->plan, &first);
    j->tally[first].stop = clvi_check_cancel(j->context, NULL) != CLV_OK;
    TRY(clvi_ranks_gather(j->ranks, j->tally, own * sizeof *j->tally, err));
    *sum = (clvi_train_tally){0};
    for (int64_t l = 0; l < j->lanes; l++) {
        sum->loss += j->tally[l].loss;
        sum->right += j->tally[l].right;
        sum->stop += j->tally[l].stop;
    }
    return CLV_OK;
}

/* Rank 0 writes the files. */
static bool writes(const clvi_train_job *j)
{
    return clv_ranks_number(j->ranks) == 0;
}

/* The weights that count: the running mean of them where there is one, with its statistics. */
static clv_status store_judged(clvi_train_job *j, clv_error *err)
{
    size_t n;
    float *const state = clvi_tplan_state(j->plan, &n);
    if (!(j->opts->average > 0))
        return clvi_tplan_store(j->plan, NULL, j->graph, err);
    float *const aside = j->state_before; /* not needed between two steps */
    memcpy(aside, state, n * sizeof(float));
    memcpy(state, j->state_average, n * sizeof(float));
    const clv_status st = clvi_tplan_store(j->plan, j->optimiser.average, j->graph, err);
    memcpy(state, aside, n * sizeof(float));
    return st;
}

/* The optimiser has moved the mean of the weights by as much. */
static void follow(clvi_train_job *j)
{
    size_t n;
    const float *const state = clvi_tplan_state(j->plan, &n);
    const double keep = clvi_optimiser_keep(&j->optimiser);
    for (size_t i = 0; i < n && j->opts->average > 0; i++)
        j->state_average[i] += (float)(1 - keep) * (state[i] - j->state_average[i]);
}

/* --- judging and keeping ----------------------------------------------------------------------------------------- */

clv_status clvi_train_judge(clvi_train_job *j, clvi_train_score *out, clv_error *err)
{
    const size_t batch = (size_t)j->opts->batch, per = batch / (size_t)j->lanes, n = (size_t)j->held.n;
    const size_t image = (size_t)(clv_tensor_count(&j->input) / j->input.dims[0]);
    size_t first;
    const size_t own = clvi_tplan_own_lanes(j->judge, &first);
    clvi_train_tally sum;
    TRY(store_judged(j, err));
    memset(j->tally, 0, (size_t)j->lanes * sizeof *j->tally);
    for (size_t at = 0; at < n; at += batch) {
        TRY(clvi_tplan_run(j->judge, j->held.images + (at + first * per) * image, NULL, NULL, err));
        for (size_t l = 0; l < own && at + (first + l) * per < n; l++) {
            const size_t from = at + (first + l) * per, rows = clvi_min_size(per, n - from);
            int64_t right = 0;
            for (size_t r = 0; r < rows; r++) {
                const int64_t label =
                    clv_dataset_label(j->images, j->held.items[j->held.n_train + (int64_t)(from + r)]);
                j->tally[first + l].loss +=
                    clvi_loss_cross_entropy(NULL, clvi_tplan_head(j->judge, l, 0) + r * (size_t)j->classes, &label, 1,
                                            (size_t)j->classes, 0, 1, &right);
            }
            j->tally[first + l].right += (double)right;
        }
    }
    TRY(add_up(j, &sum, err));
    *out = (clvi_train_score){sum.loss / (double)n, 100.0 * sum.right / (double)n};
    return CLV_OK;
}

static clv_status keep_if_better(clvi_train_job *j, clv_error *err)
{
    size_t n;
    const double gain = j->last.accuracy - j->best_score.accuracy;
    if (!isfinite(j->last.loss) || gain < 0 || (!(gain > 0) && j->last.loss >= j->best_score.loss))
        return CLV_OK;
    j->best_score = j->last;
    j->best_epoch = (j->step + j->per_epoch - 1) / j->per_epoch;
    const bool mean = j->opts->average > 0;
    const float *const state = clvi_tplan_state(j->plan, &n);
    memcpy(j->best, mean ? j->optimiser.average : clvi_tplan_theta(j->plan), clvi_tplan_size(j->plan) * sizeof(float));
    memcpy(j->best_state, mean ? j->state_average : state, j->n_state * sizeof(float));
    return j->opts->save && writes(j) ? clvi_onnx_write(j->graph, j->opts->save, err) : CLV_OK;
}

static clv_status judge(clvi_train_job *j, clv_error *err)
{
    const int64_t whole = j->per_epoch, done = (j->step - 1) % whole + 1;
    const double images = (double)(done * j->opts->batch), epoch = (double)j->step / (double)whole;
    const double gone = clvi_now() - j->began, steps = (double)(j->step - j->first_step);
    /* machines of different kinds may round differently */
    TRY(clvi_ranks_agree(j->ranks, clvi_train_state_hash(j), "weights", err));
    TRY(clvi_train_judge(j, &j->last, err));
    TRY(keep_if_better(j, err));
    const double loss = j->epoch_loss / images, accuracy = 100 * j->epoch_right / images;
    clvi_log(j->context, CLV_LOG_INFO,
             "epoch %.3g of %" PRId64 ": loss %.4f, accuracy %.2f %%, held out %.2f %% (loss %.4f, best %.2f %%), "
             "%.0f images/s, about %.0f s to go",
             epoch, j->opts->epochs, loss, accuracy, j->last.accuracy, j->last.loss, j->best_score.accuracy,
             (double)j->opts->batch / j->step_seconds, gone * (double)(j->total - j->step) / fmax(steps, 1));
    add_point(j, CLVI_TRAIN_HELD_LOSS, (double)j->step, j->last.loss);
    add_point(j, CLVI_TRAIN_ACCURACY, epoch, accuracy);
    add_point(j, CLVI_TRAIN_HELD_ACCURACY, epoch, j->last.accuracy);
    if (!j->opts->log || !writes(j))
        return CLV_OK;
    clvi_str_printf(&j->log,
                    "{\"step\": %" PRId64 ", \"epoch\": %.6g, \"epoch_loss\": %.6g, \"epoch_top1\": %.4f, "
                    "\"held_out_loss\": %.6g, \"held_out_top1\": %.4f, \"best_top1\": %.4f, \"seconds\": %.2f}\n",
                    j->step, epoch, loss, accuracy, j->last.loss, j->last.accuracy, j->best_score.accuracy,
                    clvi_now() - j->began);
    return clvi_file_replace(j->opts->log, j->log.text, j->log.size, err);
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

static clv_status fail_not_finite(clvi_train_job *j, double loss, clv_error *err)
{
    const char *const where = clvi_tplan_diagnose(j->plan, j->batch.images, lane_loss, j);
    return FAIL(err, CLV_ERR_NUMERIC, "step %" PRId64 ": the loss is %g; NaN or Inf first %s", j->step, loss,
                where ? where : "in the loss");
}

static void note_step(clvi_train_job *j, double loss, double rate, double seconds)
{
    j->step_seconds = j->step_seconds > 0 ? 0.95 * j->step_seconds + 0.05 * seconds : seconds;
    j->smooth_loss = j->smooth_loss > 0 ? 0.95 * j->smooth_loss + 0.05 * loss : loss;
    if (j->step % (j->total / CLVI_TRAIN_CURVE_MAX + 1) == 0)
        add_point(j, CLVI_TRAIN_LOSS, (double)j->step, j->smooth_loss);
    if (j->opts->log && j->step % LOG_EVERY == 0)
        clvi_str_printf(&j->log,
                        "{\"step\": %" PRId64 ", \"loss\": %.6g, \"rate\": %.4g, \"images_per_second\": %.1f, "
                        "\"seconds\": %.2f}\n",
                        j->step, loss, rate, (double)j->opts->batch / j->step_seconds, clvi_now() - j->began);
}

static clv_status one_step(clvi_train_job *j, bool *stop, clv_error *err)
{
    const double began = clvi_now();
    const double rate = j->rate * clvi_schedule_factor(j->schedule, (double)j->step / (double)j->total);
    size_t n;
    clvi_train_tally sum;
    TRY(clvi_loader_next(j->loader, &j->batch, err));
    memcpy(j->state_before, clvi_tplan_state(j->plan, &n), j->n_state * sizeof(float));
    TRY(clvi_tplan_run(j->plan, j->batch.images, lane_loss, j, err));
    TRY(add_up(j, &sum, err));
    if (j->step % j->per_epoch == 0)
        j->epoch_loss = j->epoch_right = 0;
    j->epoch_loss += sum.loss;
    j->epoch_right += sum.right;
    *stop = sum.stop > 0;
    const double loss = sum.loss / (double)j->opts->batch;
    if (!isfinite(loss) || !isfinite(clvi_optimiser_step(&j->optimiser, rate)))
        return fail_not_finite(j, loss, err);
    follow(j);
    j->step++;
    note_step(j, loss, rate, clvi_now() - began);
    return CLV_OK;
}

/* Keep the state as it was after the last whole step, and say where. */
static clv_status rescue(clvi_train_job *j, clv_status st, clv_error *err)
{
    size_t n;
    if (!clvi_ranks_lost(j->ranks) || !writes(j) || !j->opts->checkpoint)
        return st;
    memcpy(clvi_tplan_state(j->plan, &n), j->state_before, j->n_state * sizeof(float));
    TRY(clvi_train_state_save(j, err));
    return FAIL(err, st, "a rank is lost; step %" PRId64 " of %" PRId64 " is kept in \"%s\": go on with --resume",
                j->step, j->total, j->opts->checkpoint);
}

clv_status clvi_train_run(clvi_train_job *j, clv_error *err)
{
    j->saved = clvi_now();
    while (j->step < j->total && !j->stopped) {
        bool stop = false;
        const clv_status st = one_step(j, &stop, err);
        if (st != CLV_OK)
            return rescue(j, st, err);
        clvi_progress(j->context, "training", j->step, j->total);
        const bool epoch_ends = j->step % j->per_epoch == 0;
        j->stopped = j->step < j->total && stop;
        /* an unbroken run does not judge here */
        if (!epoch_ends && j->opts->checkpoint && (j->stopped || clvi_now() - j->saved > SAVE_EVERY))
            TRY(clvi_train_state_save(j, err));
        if (j->stopped || epoch_ends)
            TRY(judge(j, err));
        if (epoch_ends && j->step < j->total && j->opts->checkpoint)
            TRY(clvi_train_state_save(j, err));
    }
    return CLV_OK;
}
