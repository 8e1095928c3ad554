/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a healing on disk; that of another run, seed or network is refused. */
#include <string.h>

#include "train/heal_private.h"
#include "train/keep.h"

#define MAGIC 0x32746c6165766c63u /* "clvealt2" */

typedef struct header {
    uint64_t magic, size, seed, print;
    int64_t batch, steps, step, optimiser_steps;
    double rate, temperature, features, spent, next_judgement, smooth_loss, slower;
    clvi_heal_score start, best;
} header;

static header describe(const clvi_heal_job *j)
{
    header h;
    memset(&h, 0, sizeof h); /* padding too: the file has the same bytes for the same state */
    h.magic = MAGIC;
    h.size = clvi_tplan_size(j->plan);
    h.seed = j->opts->seed;
    h.print = clvi_keep_fingerprint(j->plan, j->held.n_train);
    h.batch = j->opts->batch;
    h.steps = j->opts->steps;
    h.step = j->step;
    h.optimiser_steps = j->optimiser.steps;
    h.rate = j->opts->rate;
    h.temperature = j->opts->temperature;
    h.features = j->opts->features;
    h.spent = j->opts->steps > 0 ? 0 : j->spent + clvi_now() - j->began;
    h.next_judgement = j->next_judgement;
    h.smooth_loss = j->smooth_loss;
    h.slower = j->slower;
    h.start = j->start;
    h.best = j->best_score;
    return h;
}

static clvi_keep file_of(const clvi_heal_job *j)
{
    float *const theta = clvi_tplan_theta(j->plan);
    const size_t n = clvi_tplan_size(j->plan), f = sizeof(float);
    size_t doubles;
    double *const white = clvi_tplan_white_state(j->plan, &doubles);
    return (clvi_keep){.path = j->opts->checkpoint,
                       .header_size = sizeof(header),
                       .vector = {theta, j->optimiser.m, j->optimiser.v, j->optimiser.average, j->best, white},
                       .bytes = {n * f, n * f, n * f, n * f, n * f, doubles * sizeof(double)},
                       .n = 6};
}

clv_status clvi_heal_state_save(const clvi_heal_job *j, clv_error *err)
{
    const header h = describe(j);
    const clvi_keep keep = file_of(j);
    return clvi_keep_save(&keep, &h, err);
}

clv_status clvi_heal_state_load(clvi_heal_job *j, bool *found, clv_error *err)
{
    const header want = describe(j);
    const clvi_keep keep = file_of(j);
    clvi_bytes bytes;
    header h;
    TRY(clvi_keep_read(&keep, &h, &bytes, found, j->context ? j->context->opts.ranks : NULL, err));
    if (!*found)
        return CLV_OK;
    clv_status st = CLV_OK;
    if (h.magic != MAGIC || h.size != want.size || h.seed != want.seed || h.print != want.print ||
        h.batch != want.batch || h.steps != want.steps || h.rate != want.rate || h.temperature != want.temperature ||
        h.features != want.features || h.step < 0) {
        st = FAIL(err, CLV_ERR_DATA, "%s is the state of another run: other network, images or options",
                  j->opts->checkpoint);
    } else {
        clvi_keep_take(&keep, &bytes);
        j->step = h.step;
        j->optimiser.steps = h.optimiser_steps;
        j->spent = h.spent;
        j->next_judgement = h.next_judgement;
        j->smooth_loss = h.smooth_loss;
        j->slower = h.slower;
        j->start = h.start;
        j->best_score = h.best;
    }
    clvi_free(bytes.data);
    return st;
}
