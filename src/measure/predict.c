/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/predict.h"

#include <inttypes.h>

#include "base/mem.h"
#include "measure/feed.h"
#include "measure/preprocess.h"
#include "runtime/session.h"

#define BATCH 32

/* rows[j]: row i of outputs[j]. */
static clv_status take_row(clv_tensor *rows, const clv_tensor *outputs, int64_t i, const clvi_feed *feed,
                           const clvi_graph *graph, clv_error *err)
{
    for (size_t j = 0; j < graph->n_outputs; j++) {
        rows[j] = outputs[j];
        if (feed->input.dims[0] == 1)
            continue;
        if (outputs[j].rank < 1 || outputs[j].dims[0] != feed->input.dims[0])
            return FAIL(err, CLV_ERR_UNSUP, "output \"%s\" has no row for each of the %" PRId64 " images of a batch",
                        graph->values[graph->outputs[j]].name, feed->input.dims[0]);
        rows[j].dims[0] = 1;
        const size_t bytes = (size_t)clv_tensor_count(&rows[j]) * clv_dtype_size(rows[j].dtype);
        rows[j].data = (char *)outputs[j].data + (size_t)i * bytes;
    }
    return CLV_OK;
}

static clv_status run_batches(clvi_feed *feed, clvi_session *session, const clvi_graph *graph, clv_tensor *outputs,
                              const clv_visitor *visitor, clv_error *err)
{
    clv_tensor *rows = outputs + graph->n_outputs;
    for (;;) {
        bool more;
        TRY(clvi_feed_next(feed, &more, err));
        if (!more)
            return CLV_OK;
        TRY(clvi_session_run(session, &feed->input, 1, outputs, err));
        for (int64_t i = 0; i < feed->rows; i++) {
            if (feed->bad[i])
                continue;
            TRY(take_row(rows, outputs, i, feed, graph, err));
            TRY(visitor->visit(visitor->user, feed->index[i], rows, graph->n_outputs, err));
        }
        clvi_progress(feed->context, "running", feed->next, feed->used);
    }
}

clv_status clvi_predict(const clvi_graph *graph, clv_dataset *dataset, const clv_preprocess *preprocess,
                        const clv_visitor *visitor, clv_context *context, clv_error *err)
{
    clv_preprocess resolved;
    clvi_feed feed = {0};
    clvi_session *session = NULL;
    const bool tensors = clv_dataset_is_tensor(dataset);
    if (!tensors)
        TRY(clvi_preprocess_resolve(&resolved, graph, preprocess, err));
    clv_tensor *outputs = clvi_calloc(graph->n_outputs + 1, 2 * sizeof *outputs);
    clv_status st = outputs ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu outputs", graph->n_outputs);
    if (st == CLV_OK)
        st = clvi_session_create(&session, graph, NULL, context, err);
    if (st == CLV_OK)
        st = clvi_feed_create(&feed, graph, dataset, tensors ? NULL : &resolved, (clvi_feed_opts){.batch = BATCH},
                              context, err);
    if (st == CLV_OK)
        st = run_batches(&feed, session, graph, outputs, visitor, err);
    clvi_feed_free(&feed);
    clvi_session_free(session);
    clvi_free(outputs);
    return st;
}
