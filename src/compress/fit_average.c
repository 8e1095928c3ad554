/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fit_average.h"

#include <string.h>

#include "base/mem.h"

typedef struct intake {
    const clvi_site *site;
    const clvi_calibration *calibration;
    float *mean; /* [images, o] of the original */
    clvi_averaged sums;
} intake;

static clv_status take_mean(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    intake *in = user;
    (void)err;
    memcpy(in->mean + (first - in->calibration->first) * in->site->conv.o, values[0].data,
           (size_t)(n * in->site->conv.o) * sizeof *in->mean);
    return CLV_OK;
}

static clv_status take_map(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    intake *in = user;
    return clvi_averaged_add(&in->sums, &in->site->conv, &in->site->activation, n, values[0].data,
                             in->mean + (first - in->calibration->first) * in->site->conv.o,
                             in->calibration->bad + first, err);
}

/* Nothing is wanted of either network behind this site: another convolution that is, keeps the front where it is. */
static clv_status visit(clvi_front *front, const clvi_graph *graph, int32_t value, clvi_visitor visitor, intake *in,
                        clv_error *err)
{
    const clvi_visit v = {
        .stage = in->site->name, .fetch = &value, .n_fetch = 1, .visitor = visitor, .user = in, .at = SIZE_MAX};
    return clvi_front_visit(front, graph, &v, err);
}

clv_status clvi_fit_average(clvi_fit *fit, const clvi_rows_source *s, size_t index, clv_error *err)
{
    const clvi_site *site = &s->sites->site[index];
    intake in = {.site = site, .calibration = s->calibration};
    const int64_t images = s->calibration->end - s->calibration->first;
    TRY(clvi_averaged_create(&in.sums, &site->conv, err));
    in.mean = clvi_alloc_array((size_t)images, (size_t)site->conv.o * sizeof *in.mean);
    clv_status st = in.mean ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "means of %lld images", (long long)images);
    if (st == CLV_OK)
        st = visit(s->original_front, s->original, site->mean, take_mean, &in, err);
    if (st == CLV_OK)
        st = s->symmetric ? visit(s->original_front, s->original, site->x, take_map, &in, err)
                          : visit(s->front, s->graph, site->x, take_map, &in, err);
    if (st == CLV_OK)
        st = clvi_averaged_finish(fit, &in.sums, &site->conv, err);
    clvi_averaged_free(&in.sums);
    clvi_free(in.mean);
    return st;
}
