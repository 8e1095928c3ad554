/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/front.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "graph/extract.h"
#include "runtime/session.h"

#define BATCH_BYTES ((size_t)192 << 20) /* activations of one batch: fetched values and working set */

static clv_status cut_create(clvi_front *f, size_t n, clv_error *err)
{
    f->n_cut = n;
    f->cut = clvi_calloc(n, sizeof *f->cut);
    f->type = clvi_calloc(n, sizeof *f->type);
    f->held = clvi_calloc(n, sizeof *f->held);
    return f->cut && f->type && f->held ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu activations", n);
}

clv_status clvi_front_create(clvi_front *out, const clvi_graph *graph, clvi_calibration *calibration, clv_error *err)
{
    *out = (clvi_front){.calibration = calibration};
    const clv_status st = cut_create(out, 1, err);
    if (st != CLV_OK) {
        clvi_front_free(out);
        return st;
    }
    out->cut[0] = graph->inputs[0];
    out->type[0] = calibration->input;
    return CLV_OK;
}

void clvi_front_free(clvi_front *f)
{
    for (size_t i = 0; f->held && i < f->n_cut; i++)
        clvi_spill_free(f->held[i]);
    clvi_free(f->held);
    clvi_free(f->type);
    clvi_free(f->cut);
    *f = (clvi_front){0};
}

/* --- one visit at work ---------------------------------------------------------------------------------------------
 */

typedef struct walk {
    clvi_front *front;
    const clvi_visit *visit;
    clvi_graph *part; /* from the cut to the fetched values and the next cut */
    clvi_session *session;
    int32_t *fetch;     /* the visit's, then next.cut */
    clv_tensor *values; /* of fetch */
    clv_tensor *inputs; /* [n_inputs] of the cut, one batch */
    size_t n_inputs;
    int64_t batch;
    clvi_front next; /* where the front moves to; n_cut 0: nowhere */
} walk;

static void walk_free(walk *w)
{
    for (size_t i = 0; w->inputs && i < w->n_inputs; i++)
        clvi_free(w->inputs[i].data);
    clvi_session_free(w->session);
    clvi_graph_free(w->part);
    clvi_free(w->fetch);
    clvi_free(w->values);
    clvi_free(w->inputs);
    clvi_front_free(&w->next);
}

/* next.cut: what is alive in front of node `at`. */
static clv_status plan_move(walk *w, const clvi_graph *graph, clv_error *err)
{
    size_t n = 0;
    w->next.calibration = w->front->calibration;
    if (w->visit->at == SIZE_MAX)
        return CLV_OK;
    bool *live = clvi_calloc(graph->n_values, sizeof *live);
    if (!live)
        return FAIL(err, CLV_ERR_NOMEM, "%zu values", graph->n_values);
    clv_status st = clvi_graph_live_at(live, graph, w->visit->at, w->visit->wanted, w->visit->n_wanted, err);
    for (size_t v = 0; v < graph->n_values; v++)
        n += live[v];
    if (st == CLV_OK && n > 0)
        st = cut_create(&w->next, n, err);
    for (size_t v = 0, i = 0; st == CLV_OK && v < graph->n_values; v++)
        if (live[v])
            w->next.cut[i++] = (int32_t)v;
    clvi_free(live);
    return st;
}

static clv_status open_session(walk *w, const clvi_graph *graph, clv_error *err)
{
    const size_t own = w->visit->n_fetch, n = own + w->next.n_cut;
    w->fetch = clvi_calloc(n, sizeof *w->fetch);
    w->values = clvi_calloc(n, sizeof *w->values);
    w->n_inputs = w->front->n_cut;
    w->inputs = clvi_calloc(w->n_inputs, sizeof *w->inputs);
    if (!w->fetch || !w->values || !w->inputs)
        return FAIL(err, CLV_ERR_NOMEM, "%zu activations", n);
    if (own)
        memcpy(w->fetch, w->visit->fetch, own * sizeof *w->fetch);
    if (w->next.n_cut)
        memcpy(w->fetch + own, w->next.cut, w->next.n_cut * sizeof *w->fetch);
    TRY(clvi_graph_extract(&w->part, graph, w->front->cut, w->front->n_cut, w->fetch, n, err));
    return clvi_session_create(&w->session, w->part, NULL, w->front->calibration->context, err);
}

/* Can the images' rows of this value be kept apart? */
static bool has_rows(const clv_tensor *value, int64_t batch)
{
    return value->dtype == CLV_FLOAT32 && value->rank > 0 && value->dims[0] == batch && clv_tensor_count(value) > 0;
}

/* The batch that the network insists on, or the largest one that stays within BATCH_BYTES. */
static clv_status choose_batch(walk *w, clv_error *err)
{
    const clvi_calibration *c = w->front->calibration;
    clvi_shapes shapes;
    size_t bytes = 1, largest = 0;
    TRY(clvi_shapes_infer(&shapes, w->part, w->front->type, w->front->n_cut, err));
    for (size_t i = 0; i < w->part->n_values; i++) {
        const int64_t count = shapes.values[i].rank < 0 ? 0 : clv_tensor_count(&shapes.values[i]);
        if (count > 0 && !shapes.values[i].data)
            largest = clvi_max_size(largest, (size_t)count * sizeof(float));
    }
    for (size_t i = 0; i < w->visit->n_fetch + w->next.n_cut; i++) {
        const int64_t count = clv_tensor_count(&shapes.values[w->fetch[i]]);
        bytes += count > 0 ? (size_t)count * sizeof(float) : 0;
    }
    clvi_shapes_free(&shapes);
    const int64_t fit = (int64_t)(BATCH_BYTES / (bytes + 4 * largest)), most = c->end - c->first;
    w->batch = fit < 1 ? 1 : fit > c->batch ? c->batch : fit;
    w->batch = w->batch > most ? most : w->batch;
    w->batch = c->fixed_batch ? c->fixed_batch : w->batch;
    return CLV_OK;
}

static clv_status create_inputs(walk *w, clv_error *err)
{
    for (size_t i = 0; i < w->front->n_cut; i++) {
        w->inputs[i] = w->front->type[i];
        const size_t count = (size_t)clv_tensor_count(&w->inputs[i]);
        w->inputs[i].data = clvi_calloc((size_t)w->batch, count * sizeof(float));
        if (!w->inputs[i].data)
            return FAIL(err, CLV_ERR_NOMEM, "a batch of %lld images", (long long)w->batch);
    }
    return CLV_OK;
}

static clv_status load(walk *w, int64_t first, int64_t n, clv_error *err)
{
    clvi_front *f = w->front;
    for (size_t i = 0; i < f->n_cut; i++) {
        w->inputs[i].dims[0] = f->calibration->fixed_batch ? w->batch : n; /* rows behind n are not looked at */
        if (!f->held[i])
            TRY(clvi_calibration_read(f->calibration, first, n, w->inputs[i].data, err));
        else
            TRY(clvi_spill_read(f->held[i], (size_t)(first - f->calibration->first), (size_t)n, w->inputs[i].data,
                                err));
    }
    return CLV_OK;
}

/* Room for the next cut, once its shapes are known; without rows to keep apart the front stays. */
static clv_status hold(walk *w, const clv_tensor *values, int64_t batch, clv_error *err)
{
    const clvi_calibration *c = w->front->calibration;
    for (size_t i = 0; i < w->next.n_cut; i++)
        if (!has_rows(&values[i], batch)) {
            clvi_front_free(&w->next);
            return CLV_OK;
        }
    for (size_t i = 0; i < w->next.n_cut; i++) {
        w->next.type[i] = values[i];
        w->next.type[i].dims[0] = 1;
        w->next.type[i].data = NULL;
        const size_t bytes = (size_t)clv_tensor_count(&w->next.type[i]) * sizeof(float);
        TRY(clvi_spill_create(&w->next.held[i], (size_t)(c->end - c->first), bytes, &w->front->calibration->room, err));
    }
    return CLV_OK;
}

static clv_status keep(walk *w, const clv_tensor *values, int64_t first, int64_t n, clv_error *err)
{
    const clvi_calibration *c = w->front->calibration;
    if (w->next.n_cut && !w->next.held[0])
        TRY(hold(w, values, values[0].rank > 0 && c->fixed_batch ? w->batch : n, err));
    for (size_t i = 0; i < w->next.n_cut; i++)
        TRY(clvi_spill_write(w->next.held[i], (size_t)(first - c->first), (size_t)n, values[i].data, err));
    return CLV_OK;
}

static clv_status run_batches(walk *w, clv_error *err)
{
    clvi_calibration *c = w->front->calibration;
    const clvi_visit *v = w->visit;
    for (int64_t first = c->first; first < c->end; first += w->batch) {
        const int64_t n = c->end - first < w->batch ? c->end - first : w->batch;
        if (v->stage)
            clvi_progress(c->context, v->stage, first - c->first, c->end - c->first);
        TRY(clvi_check_cancel(c->context, err));
        TRY(load(w, first, n, err));
        const double start = clvi_now();
        TRY(clvi_session_run(w->session, w->inputs, w->front->n_cut, w->values, err));
        c->inference += clvi_now() - start;
        if (v->visitor)
            TRY(v->visitor(v->user, first, n, w->values, err));
        TRY(keep(w, w->values + v->n_fetch, first, n, err));
    }
    if (v->stage)
        clvi_progress(c->context, v->stage, c->end - c->first, c->end - c->first);
    return CLV_OK;
}

clv_status clvi_front_visit(clvi_front *front, const clvi_graph *graph, const clvi_visit *visit, clv_error *err)
{
    walk w = {.front = front, .visit = visit};
    clv_status st;
    if ((st = plan_move(&w, graph, err)) == CLV_OK && (st = open_session(&w, graph, err)) == CLV_OK &&
        (st = choose_batch(&w, err)) == CLV_OK && (st = create_inputs(&w, err)) == CLV_OK)
        st = run_batches(&w, err);
    if (st == CLV_OK && w.next.n_cut) {
        const clvi_front old = *front;
        *front = w.next;
        w.next = old; /* freed below */
    }
    walk_free(&w);
    return st;
}
