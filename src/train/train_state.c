/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a training on disk; that of another run is refused. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "train/keep.h"
#include "train/train_private.h"

#define MAGIC 0x32727465766c6301u

typedef struct header {
    uint64_t magic, size, n_state, seed, print;
    int64_t batch, epochs, kind, schedule, shift, flip, cutout; /* what the run is */
    double rate, decay, smoothing, clip, crop, jitter, mixup, average;
    int64_t step, optimiser_steps, best_epoch; /* where it stands */
    double epoch_loss, epoch_right, smooth_loss;
    clvi_train_score best;
} header;

static header describe(const clvi_train_job *j)
{
    header h;
    memset(&h, 0, sizeof h); /* padding too: the file has the same bytes for the same state */
    h.magic = MAGIC;
    h.size = clvi_tplan_size(j->plan);
    h.n_state = j->n_state;
    h.seed = j->opts->seed;
    h.print = clvi_keep_fingerprint(j->plan, j->held.n_train);
    h.batch = j->opts->batch;
    h.epochs = j->opts->epochs;
    h.kind = j->kind;
    h.schedule = j->schedule;
    h.shift = j->opts->shift;
    h.flip = !j->opts->no_flip;
    h.cutout = j->opts->cutout;
    h.rate = j->rate;
    h.decay = j->decay;
    h.smoothing = j->opts->smoothing;
    h.clip = j->opts->clip;
    h.crop = j->opts->crop;
    h.jitter = j->opts->jitter;
    h.mixup = j->opts->mixup;
    h.average = j->opts->average;
    h.step = j->step;
    h.optimiser_steps = j->optimiser.steps;
    h.best_epoch = j->best_epoch;
    h.epoch_loss = j->epoch_loss;
    h.epoch_right = j->epoch_right;
    h.smooth_loss = j->smooth_loss;
    h.best = j->best_score;
    return h;
}

static clvi_keep file_of(const clvi_train_job *j)
{
    const size_t n = clvi_tplan_size(j->plan), f = sizeof(float);
    size_t n_state;
    return (clvi_keep){.path = j->opts->checkpoint,
                       .header_size = sizeof(header),
                       .vector = {clvi_tplan_theta(j->plan), j->optimiser.m, j->optimiser.v, j->best,
                                  clvi_tplan_state(j->plan, &n_state), j->best_state, j->optimiser.average,
                                  j->state_average},
                       .bytes = {n * f, n * f, n * f, n * f, j->n_state * f, j->n_state * f, n * f, j->n_state * f},
                       .n = j->opts->average > 0 ? 8 : 6};
}

uint64_t clvi_train_state_hash(const clvi_train_job *j)
{
    const header h = describe(j);
    const uint64_t run = clvi_hash(CLVI_HASH_START, &h, offsetof(header, best));
    return clvi_hash(run, clvi_tplan_theta(j->plan), clvi_tplan_size(j->plan) * sizeof(float));
}

clv_status clvi_train_state_save(clvi_train_job *j, clv_error *err)
{
    j->saved = clvi_now();
    if (clv_ranks_number(j->ranks) > 0)
        return CLV_OK;
    const header h = describe(j);
    const clvi_keep keep = file_of(j);
    return clvi_keep_save(&keep, &h, err);
}

clv_status clvi_train_state_load(clvi_train_job *j, bool *found, clv_error *err)
{
    const header want = describe(j);
    const clvi_keep keep = file_of(j);
    clvi_bytes bytes;
    header h;
    TRY(clvi_keep_read(&keep, &h, &bytes, found, j->ranks, err));
    if (!*found)
        return CLV_OK;
    clv_status st = CLV_OK;
    if (memcmp(&h, &want, offsetof(header, step)) != 0 || h.step < 0 || h.step > j->total) {
        st = FAIL(err, CLV_ERR_DATA, "%s is the state of another run: other network, images or options",
                  j->opts->checkpoint);
    } else {
        clvi_keep_take(&keep, &bytes);
        j->step = h.step;
        j->optimiser.steps = h.optimiser_steps;
        j->best_epoch = h.best_epoch;
        j->epoch_loss = h.epoch_loss;
        j->epoch_right = h.epoch_right;
        j->smooth_loss = h.smooth_loss;
        j->best_score = h.best;
    }
    clvi_free(bytes.data);
    return st;
}
