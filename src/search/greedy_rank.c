/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping the last channel of a layer changes that layer's score alone, so the layers stand in a binary heap, the
 * least score on top. Sums of energies are made from the small end, where the scores that matter first are. */
#include "search/greedy_rank.h"

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"

typedef struct heap {
    size_t *layer; /* [n] a heap of layer numbers */
    double *score; /* [layers] */
    size_t n;
} heap;

static clv_status check(const clvi_rank_layer *layers, size_t n, clv_error *err)
{
    for (size_t l = 0; l < n; l++) {
        if (layers[l].n == 0 || !(layers[l].cost > 0) || !isfinite(layers[l].cost))
            return FAIL(err, CLV_ERR_ARG, "layer %zu has %zu ranks that cost %g each", l, layers[l].n, layers[l].cost);
        for (size_t a = 0; a < layers[l].n; a++) {
            const double e = layers[l].energy[a], before = a ? layers[l].energy[a - 1] : HUGE_VAL;
            if (!(e >= 0) || !isfinite(e) || e > before)
                return FAIL(err, CLV_ERR_ARG, "energy %zu of layer %zu is %g after %g", a, l, e, before);
        }
    }
    return CLV_OK;
}

static bool before(const heap *h, size_t a, size_t b)
{
    return h->score[a] < h->score[b] || (h->score[a] == h->score[b] && a < b);
}

static void sink(heap *h, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < h->n; child++)
            if (before(h, h->layer[child], h->layer[least]))
                least = child;
        if (least == at)
            return;
        const size_t swap = h->layer[at];
        h->layer[at] = h->layer[least];
        h->layer[least] = swap;
        at = least;
    }
}

/* kept[a] = sum of energy[0..a]. */
static void accumulate(double *kept, const clvi_rank_layer *layer)
{
    double total = 0, dropped = 0;
    for (size_t a = layer->n; a-- > 0;)
        total += layer->energy[a];
    for (size_t a = layer->n; a-- > 0;) {
        kept[a] = fmax(total - dropped, layer->energy[a]);
        dropped += layer->energy[a];
    }
}

/* A layer without energy loses nothing. */
static double score(const clvi_rank_layer *layer, const double *kept, size_t rank)
{
    const double last = layer->energy[rank - 1];
    return last > 0 ? last / kept[rank - 1] / layer->cost : 0;
}

static void give_up(size_t *rank, double *cost, const clvi_rank_layer *layers, size_t n, double budget, heap *h,
                    double *const *kept)
{
    for (size_t l = 0; l < n; l++)
        if (rank[l] > 1) {
            h->score[l] = score(&layers[l], kept[l], rank[l]);
            h->layer[h->n++] = l;
        }
    for (size_t i = h->n; i-- > 0;)
        sink(h, i);
    while (*cost > budget && h->n) {
        const size_t l = h->layer[0];
        rank[l]--;
        *cost = 0; /* summed anew: no drift over thousands of steps */
        for (size_t i = 0; i < n; i++)
            *cost += (double)rank[i] * layers[i].cost;
        if (rank[l] > 1)
            h->score[l] = score(&layers[l], kept[l], rank[l]);
        else
            h->layer[0] = h->layer[--h->n];
        sink(h, 0);
    }
}

clv_status clvi_greedy_rank(size_t *rank, double *cost, const clvi_rank_layer *layers, size_t n, double budget,
                            clv_error *err)
{
    clv_status st = CLV_OK;
    heap h = {0};
    double **kept = NULL;
    *cost = 0;
    TRY(check(layers, n, err));
    h.layer = clvi_calloc(n, sizeof *h.layer);
    h.score = clvi_calloc(n, sizeof *h.score);
    kept = clvi_calloc(n, sizeof *kept);
    if (!h.layer || !h.score || !kept) {
        st = FAIL(err, CLV_ERR_NOMEM, "ranks of %zu layers", n);
        goto out;
    }
    for (size_t l = 0; l < n; l++) {
        kept[l] = clvi_alloc_array(layers[l].n, sizeof **kept);
        if (!kept[l]) {
            st = FAIL(err, CLV_ERR_NOMEM, "energies of %zu ranks", layers[l].n);
            goto out;
        }
        accumulate(kept[l], &layers[l]);
        rank[l] = layers[l].n;
        *cost += (double)rank[l] * layers[l].cost;
    }
    give_up(rank, cost, layers, n, budget, &h, kept);
    if (!(*cost <= budget))
        st = FAIL(err, CLV_ERR_BUDGET, "rank 1 in each of %zu layers costs %g, the budget is %g", n, *cost, budget);
out:
    for (size_t l = 0; kept && l < n; l++)
        clvi_free(kept[l]);
    clvi_free(kept);
    clvi_free(h.layer);
    clvi_free(h.score);
    return st;
}
