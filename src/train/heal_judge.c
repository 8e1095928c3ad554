/* SPDX-License-Identifier: Apache-2.0 */
/* The held-out images: they decide what is better, and are never trained on. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "train/heal_private.h"
#include "train/loss.h"

static int64_t padded(const clvi_heal_job *j)
{
    return (j->held.n + j->opts->batch - 1) / j->opts->batch * j->opts->batch;
}

size_t clvi_heal_image(const clvi_heal_job *j)
{
    return (size_t)(clv_tensor_count(&j->input) / j->input.dims[0]);
}

/* Numbers of head h for one image. */
static size_t numbers(const clvi_heal_job *j, size_t h)
{
    const clv_tensor *const t = clvi_tplan_head_shape(j->plan, h);
    return (size_t)(clv_tensor_count(t) / t->dims[0]);
}

clv_status clvi_heal_hold_out(clvi_heal_job *j, clv_error *err)
{
    const size_t image = clvi_heal_image(j), lane = (size_t)(j->opts->batch / j->lanes);
    size_t first;
    const size_t own = clvi_tplan_own_lanes(j->plan, &first);
    TRY(clvi_held_out_read(&j->held, j->images, j->preprocess, &j->input, j->context, err));
    const size_t n = (size_t)padded(j);
    for (size_t h = 0; h < j->pairs.n_outputs; h++)
        if (!(j->answers[h] = clvi_alloc_array(n * numbers(j, h), sizeof(float))))
            return FAIL(err, CLV_ERR_NOMEM, "answers of the teacher to %zu images", n);
    for (size_t at = 0; at < (size_t)padded(j); at += (size_t)j->opts->batch) {
        TRY(clvi_check_cancel(j->context, err));
        TRY(clvi_guide_run(j->guide, j->held.images + (at + first * lane) * image, err));
        for (size_t l = 0; l < own; l++)
            for (size_t h = 0; h < j->pairs.n_outputs; h++)
                memcpy(j->answers[h] + (at + (first + l) * lane) * numbers(j, h), clvi_guide_head(j->guide, l, h),
                       lane * numbers(j, h) * sizeof(float));
    }
    return CLV_OK;
}

/* Own lane number `lane`, whose images begin at `at`. */
static void judge_lane(const clvi_heal_job *j, size_t at, size_t lane, clvi_heal_tally *t)
{
    const size_t per = (size_t)(j->opts->batch / j->lanes);
    int64_t same = 0;
    if (at >= (size_t)j->held.n)
        return;
    const size_t rows = clvi_min_size(per, (size_t)j->held.n - at);
    for (size_t h = 0; h < j->pairs.n_outputs; h++) {
        const size_t n = numbers(j, h);
        const float *const s = clvi_tplan_head(j->plan, lane, h), *const a = j->answers[h] + at * n;
        if (j->pairs.classes[h]) {
            t->loss += clvi_loss_kl(NULL, s, a, rows, n, 1, 1, &same);
            t->classed += (double)rows;
        } else {
            t->loss += clvi_loss_relative(j->optimiser.loops, NULL, s, a, rows * n, 1) * (double)rows;
        }
    }
    t->same += (double)same;
}

clv_status clvi_heal_judge(clvi_heal_job *j, const float *theta, clvi_heal_score *out, clv_error *err)
{
    const size_t size = clvi_tplan_size(j->plan), image = clvi_heal_image(j);
    float *const own = clvi_tplan_theta(j->plan);
    const double began = clvi_now();
    clvi_heal_tally sum;
    size_t first;
    const size_t mine = clvi_tplan_own_lanes(j->plan, &first), per = (size_t)(j->opts->batch / j->lanes);
    clv_status st = CLV_OK;
    memset(j->tally, 0, (size_t)j->lanes * sizeof *j->tally);
    if (theta) {
        memcpy(j->work, own, size * sizeof *own);
        memcpy(own, theta, size * sizeof *own);
    }
    for (size_t at = 0; at < (size_t)j->held.n && st == CLV_OK; at += (size_t)j->opts->batch) {
        st = clvi_tplan_run(j->plan, j->held.images + (at + first * per) * image, NULL, NULL, err);
        for (size_t l = 0; l < mine && st == CLV_OK; l++)
            judge_lane(j, at + (first + l) * per, l, &j->tally[first + l]);
    }
    if (theta)
        memcpy(own, j->work, size * sizeof *own);
    if (st == CLV_OK)
        st = clvi_heal_add_up(j, &sum, err);
    if (st == CLV_OK) {
        out->loss = sum.loss / (double)j->held.n;
        out->agreement = sum.classed > 0 ? 100.0 * sum.same / sum.classed : (double)NAN;
    }
    j->judge_seconds = clvi_now() - began;
    return st;
}
