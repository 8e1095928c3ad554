/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a healing on disk: a header of fixed size, then five vectors of the parameters' size. Written and read
 * on the same machine; a file of another run, seed or network is refused. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "train/heal_private.h"

#define MAGIC 0x31746c6165766c63u /* "clvealt1" */

typedef struct header {
    uint64_t magic, size, seed, print;
    int64_t batch, steps, step, optimiser_steps;
    double rate, temperature, features, spent, next_judgement, smooth_loss;
    clvi_heal_score start, best;
} header;

/* FNV-1a over the names and sizes of the parameters. */
static uint64_t fingerprint(const clvi_heal_job *j)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(j->plan, &params);
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) {
        for (const char *c = params[i].name; *c; c++)
            h = (h ^ (uint8_t)*c) * 0x100000001b3u;
        h = (h ^ params[i].count) * 0x100000001b3u;
    }
    return (h ^ (uint64_t)j->n_train) * 0x100000001b3u;
}

static header describe(const clvi_heal_job *j)
{
    header h;
    memset(&h, 0, sizeof h); /* padding too: the file has the same bytes for the same state */
    h.magic = MAGIC;
    h.size = clvi_tplan_size(j->plan);
    h.seed = j->opts->seed;
    h.print = fingerprint(j);
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
    h.start = j->start;
    h.best = j->best_score;
    return h;
}

#define VECTORS 5

static void vectors(const clvi_heal_job *j, float *out[VECTORS])
{
    out[0] = clvi_tplan_theta(j->plan);
    out[1] = j->optimiser.m;
    out[2] = j->optimiser.v;
    out[3] = j->optimiser.average;
    out[4] = j->best;
}

clv_status clvi_heal_state_save(const clvi_heal_job *j, clv_error *err)
{
    const header h = describe(j);
    clvi_file_writer *file = NULL;
    float *vector[VECTORS];
    vectors(j, vector);
    clv_status st = clvi_file_create(&file, j->opts->checkpoint, err);
    if (st == CLV_OK)
        st = clvi_file_write(file, &h, sizeof h, err);
    for (int i = 0; i < VECTORS && st == CLV_OK; i++)
        st = clvi_file_write(file, vector[i], h.size * sizeof(float), err);
    if (st == CLV_OK)
        st = clvi_file_commit(file, err);
    clvi_file_free(file);
    return st;
}

clv_status clvi_heal_state_load(clvi_heal_job *j, bool *found, clv_error *err)
{
    const header want = describe(j);
    clvi_bytes bytes = {0};
    header h;
    float *vector[VECTORS];
    *found = access(j->opts->checkpoint, F_OK) == 0;
    if (!*found)
        return CLV_OK;
    TRY(clvi_file_read(&bytes, j->opts->checkpoint, err));
    clv_status st = CLV_OK;
    if (bytes.size != sizeof h + VECTORS * want.size * sizeof(float))
        st = FAIL(err, CLV_ERR_DATA, "%s: %zu bytes, a state of this network has %zu", j->opts->checkpoint, bytes.size,
                  sizeof h + VECTORS * (size_t)want.size * sizeof(float));
    if (st == CLV_OK) {
        memcpy(&h, bytes.data, sizeof h);
        if (h.magic != MAGIC || h.size != want.size || h.seed != want.seed || h.print != want.print ||
            h.batch != want.batch || h.steps != want.steps || h.rate != want.rate ||
            h.temperature != want.temperature || h.features != want.features || h.step < 0)
            st = FAIL(err, CLV_ERR_DATA, "%s is the state of another run: other network, images or options",
                      j->opts->checkpoint);
    }
    if (st == CLV_OK) {
        vectors(j, vector);
        for (int i = 0; i < VECTORS; i++)
            memcpy(vector[i], bytes.data + sizeof h + (size_t)i * want.size * sizeof(float), want.size * sizeof(float));
        j->step = h.step;
        j->optimiser.steps = h.optimiser_steps;
        j->spent = h.spent;
        j->next_judgement = h.next_judgement;
        j->smooth_loss = h.smooth_loss;
        j->start = h.start;
        j->best_score = h.best;
    }
    clvi_free(bytes.data);
    return st;
}
