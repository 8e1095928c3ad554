/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over the lanes of all ranks, in the order that one process would take.
 *
 * The vector of gradients is cut into one share for each rank. Every rank sends share k of each of its lanes to rank k,
 * which adds up share k of all lanes, in order; the sums then go to everybody. With one lane a rank that is as little
 * as any way of summing sends; a ring or a tree would add in another order. */
#include <string.h>

#include "base/size.h"
#include "train/plan_private.h"
#include "train/white.h"

/* Floats of a share: whole lines of memory. */
static size_t share_of(const clvi_tplan *plan)
{
    const size_t ranks = (size_t)clv_ranks_count(plan->ranks);
    return clvi_round_up((plan->size + ranks - 1) / ranks, 16);
}

size_t clvi_tplan_shares(const clvi_tplan *plan)
{
    return plan->ranks ? share_of(plan) * (size_t)clv_ranks_count(plan->ranks) : plan->size;
}

clv_status clvi_tplan_place_shares(clvi_tplan *plan, clv_error *err)
{
    if (!plan->ranks || !plan->opts.backward)
        return CLV_OK;
    plan->outgoing = clvi_calloc(clvi_tplan_shares(plan) * plan->n_lanes + 1, sizeof(float));
    plan->incoming = clvi_calloc(clvi_tplan_shares(plan) * plan->n_lanes + 1, sizeof(float));
    return plan->outgoing && plan->incoming
               ? CLV_OK
               : FAIL(err, CLV_ERR_NOMEM, "gradients of %zu parameters for %zu lanes", plan->size, plan->n_lanes);
}

clv_status clvi_tplan_meet(const clvi_tplan *plan, const clvi_tnode *node, clv_error *err)
{
    return clvi_ranks_gather(plan->ranks, node->shared, plan->n_lanes * node->shared_bytes, err);
}

static clv_status meet_whites(const clvi_tplan *plan, clv_error *err)
{
    for (size_t i = 0; i < plan->n_white; i++) {
        const clvi_white *const w = plan->white[i];
        const size_t lane = w->blocks * w->n * w->n * sizeof *w->sums;
        TRY(clvi_ranks_gather(plan->ranks, w->sums, plan->n_lanes * lane, err));
    }
    return CLV_OK;
}

clv_status clvi_tplan_sum_ranks(clvi_tplan *plan, clv_error *err)
{
    const size_t ranks = (size_t)clv_ranks_count(plan->ranks), share = share_of(plan);
    for (size_t k = 0; k < ranks; k++)
        for (size_t l = 0; l < plan->n_lanes; l++) {
            const size_t at = clvi_min_size(k * share, plan->size), n = clvi_min_size(share, plan->size - at);
            memcpy(plan->outgoing + (k * plan->n_lanes + l) * share, plan->lanes[l].dparam + at, n * sizeof(float));
        }
    TRY(clvi_ranks_exchange(plan->ranks, plan->outgoing, plan->incoming, plan->n_lanes * share * sizeof(float), err));
    float *const own = plan->gradient + (size_t)clv_ranks_number(plan->ranks) * share;
    memcpy(own, plan->incoming, share * sizeof(float));
    for (size_t l = 1; l < ranks * plan->n_lanes; l++)
        plan->loops->accumulate(own, plan->incoming + l * share, share);
    TRY(clvi_ranks_gather(plan->ranks, plan->gradient, share * sizeof(float), err));
    return meet_whites(plan, err);
}
