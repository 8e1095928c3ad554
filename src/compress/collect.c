/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/collect.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"

#define FETCH_BYTES ((size_t)192 << 20) /* activations kept at once in one pass: bounds the batch */

/* --- the calibration set --------------------------------------------------------------------------------------- */

clv_status clvi_calibration_create(clvi_calibration *out, const clvi_graph *graph, clv_dataset *data,
                                   const clv_preprocess *preprocess, clv_context *context, clv_error *err)
{
    int64_t chw[3];
    *out = (clvi_calibration){.data = data, .preprocess = preprocess, .context = context};
    out->images = clv_dataset_count(data);
    if (graph->n_inputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "the network has %zu inputs, calibration needs exactly one", graph->n_inputs);
    if (out->images < 1 || out->images > INT32_MAX)
        return FAIL(err, CLV_ERR_DATA, "%lld calibration images, 1 to 2^31 - 1 were expected", (long long)out->images);
    const clvi_value *input = &graph->values[graph->inputs[0]];
    TRY(clv_dataset_shape(data, 0, preprocess, chw, err));
    const bool fits = input->rank == 4 && (input->dims[1] < 0 || input->dims[1] == chw[0]) &&
                      (input->dims[2] < 0 || input->dims[2] == chw[1]) &&
                      (input->dims[3] < 0 || input->dims[3] == chw[2]);
    if (input->rank >= 0 && !fits)
        return FAIL(
            err, CLV_ERR_DATA,
            "image \"%s\" becomes [%lld, %lld, %lld], input \"%s\" wants rank %d with [%lld, %lld, %lld]: check "
            "the preprocessing",
            clv_dataset_name(data, 0), (long long)chw[0], (long long)chw[1], (long long)chw[2], input->name,
            input->rank, (long long)input->dims[1], (long long)input->dims[2], (long long)input->dims[3]);
    out->input = (clv_tensor){.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, chw[0], chw[1], chw[2]}};
    out->fixed_batch = input->rank == 4 && input->dims[0] > 0 ? input->dims[0] : 0;
    out->bad = clvi_calloc((size_t)out->images, sizeof *out->bad);
    return out->bad ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%lld calibration images", (long long)out->images);
}

void clvi_calibration_free(clvi_calibration *c)
{
    clvi_free(c->bad);
    c->bad = NULL;
}

/* --- sampled positions --------------------------------------------------------------------------------------------
 * A site of p output pixels takes S = min(samples, images * p) patches; image i holds rows floor(i S / images) up to
 * floor((i + 1) S / images), one in each of as many equal strips of its pixels. */

typedef struct plan {
    int64_t images, pixels, rows;
    uint64_t seed, site;
} plan;

static plan plan_of(const clvi_calibration *c, const clvi_site *site, size_t index)
{
    plan p = {.images = c->images, .pixels = site->shape.oh * site->shape.ow, .seed = c->seed, .site = index};
    const int64_t all = p.images > INT64_MAX / p.pixels ? INT64_MAX : p.images * p.pixels;
    p.rows = all < c->samples ? all : c->samples;
    return p;
}

static int64_t first_row(const plan *p, int64_t image)
{
    return image * p->rows / p->images; /* both below 2^31, see clvi_calibration_create */
}

static int64_t next_position(const plan *p, clvi_rng *rng, int64_t j, int64_t count)
{
    const int64_t from = j * p->pixels / count, to = (j + 1) * p->pixels / count;
    return from + (int64_t)clvi_rng_below(rng, (uint64_t)(to - from));
}

static void start_positions(const plan *p, clvi_rng *rng, int64_t image)
{
    clvi_rng_seed_stream(rng, p->seed + 0x9e3779b97f4a7c15u * (p->site + 1), (uint64_t)image);
}

/* --- one pass over the images ------------------------------------------------------------------------------------ */

typedef struct pass pass;

/* Called for each batch: values[i] are the fetched values of images [first, first + n). */
typedef clv_status (*batch_fn)(pass *p, int64_t first, int64_t n, const clv_tensor *values, clv_error *err);

struct pass {
    clvi_calibration *calibration;
    const char *stage;
    batch_fn batch;
    void *user;
};

/* The batch that the network insists on, or the largest one whose fetched values and working set stay within
 * FETCH_BYTES. */
static clv_status batch_size(int64_t *out, const clvi_graph *graph, const int32_t *fetch, size_t n_fetch,
                             const clvi_calibration *c, clv_error *err)
{
    clvi_shapes shapes;
    size_t bytes = 0, largest = 0;
    if (c->fixed_batch) {
        *out = c->fixed_batch;
        return CLV_OK;
    }
    TRY(clvi_shapes_infer(&shapes, graph, &c->input, 1, err));
    for (size_t i = 0; i < graph->n_values; i++) {
        const int64_t count = shapes.values[i].rank < 0 ? 0 : clv_tensor_count(&shapes.values[i]);
        if (count > 0 && !shapes.values[i].data)
            largest = clvi_max_size(largest, (size_t)count * sizeof(float));
    }
    for (size_t i = 0; i < n_fetch; i++) {
        const int64_t count = clv_tensor_count(&shapes.values[fetch[i]]);
        bytes += count > 0 ? (size_t)count * sizeof(float) : 0;
    }
    clvi_shapes_free(&shapes);
    const int64_t fit = (int64_t)(FETCH_BYTES / (bytes + 4 * largest + 1));
    *out = fit < 1 ? 1 : fit > c->batch ? c->batch : fit;
    return CLV_OK;
}

static clv_status run_pass(pass *p, const clvi_graph *graph, const int32_t *fetch, size_t n_fetch, clv_error *err)
{
    clvi_calibration *c = p->calibration;
    clvi_session *session = NULL;
    clv_tensor *values = NULL;
    clv_tensor input = c->input;
    int64_t batch;
    clv_status st;
    if ((st = batch_size(&batch, graph, fetch, n_fetch, c, err)) != CLV_OK)
        return st;
    const clvi_session_opts opts = {.fetch = fetch, .n_fetch = n_fetch};
    values = clvi_calloc(n_fetch, sizeof *values);
    input.data = clvi_alloc_array((size_t)batch, (size_t)clv_tensor_count(&c->input) * sizeof(float));
    if (!values || !input.data) {
        st = FAIL(err, CLV_ERR_NOMEM, "a batch of %lld images", (long long)batch);
        goto out;
    }
    if ((st = clvi_session_create(&session, graph, &opts, c->context, err)) != CLV_OK)
        goto out;
    for (int64_t first = 0; first < c->images; first += batch) {
        const int64_t n = c->images - first < batch ? c->images - first : batch;
        input.dims[0] = n;
        if (c->fixed_batch && n < batch) /* the rest of the last batch is not sampled */
            memset(input.data, 0, (size_t)(batch * clv_tensor_count(&c->input)) * sizeof(float));
        clvi_progress(c->context, p->stage, first, c->images);
        if ((st = clvi_check_cancel(c->context, err)) != CLV_OK ||
            (st = clv_dataset_read(c->data, first, n, c->preprocess, &input, c->bad + first, c->context, err)) !=
                CLV_OK)
            goto out;
        if (c->fixed_batch)
            input.dims[0] = batch;
        if ((st = clvi_session_run(session, &input, 1, values, err)) != CLV_OK ||
            (st = p->batch(p, first, n, values, err)) != CLV_OK)
            goto out;
    }
    clvi_progress(c->context, p->stage, c->images, c->images);
out:
    clvi_session_free(session);
    clvi_free(input.data);
    clvi_free(values);
    return st;
}

/* --- targets ------------------------------------------------------------------------------------------------------ */

typedef struct target_pass {
    clvi_targets *targets;
    const clvi_sites *sites;
    const size_t *fetched; /* site of each fetched value */
    size_t n_fetched;
    /* the batch at work */
    const clvi_calibration *calibration;
    const clv_tensor *values;
    int64_t first, n;
} target_pass;

/* Task: site i / n, image i % n. */
static void sample_targets(void *arg, size_t index, int worker)
{
    (void)worker;
    const target_pass *t = arg;
    const size_t k = index / (size_t)t->n, site = t->fetched[k];
    const int64_t i = (int64_t)(index % (size_t)t->n), image = t->first + i;
    const plan p = plan_of(t->calibration, &t->sites->site[site], site);
    const int64_t o = t->sites->site[site].shape.o;
    const int64_t row = first_row(&p, image), count = first_row(&p, image + 1) - row;
    const float *y = (const float *)t->values[k].data + i * o * p.pixels;
    float *to = t->targets->rows[site] + row * o;
    clvi_rng rng;
    start_positions(&p, &rng, image);
    for (int64_t j = 0; j < count; j++) {
        const int64_t at = next_position(&p, &rng, j, count);
        for (int64_t ch = 0; ch < o; ch++)
            to[j * o + ch] = y[ch * p.pixels + at];
    }
}

static clv_status target_batch(pass *p, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    (void)err;
    target_pass *t = p->user;
    t->calibration = p->calibration;
    t->values = values;
    t->first = first;
    t->n = n;
    clvi_pool_run(p->calibration->context->pool, t->n_fetched * (size_t)n, sample_targets, t);
    return CLV_OK;
}

clv_status clvi_targets_collect(clvi_targets *out, const clvi_graph *original, const clvi_sites *sites,
                                clvi_calibration *calibration, clv_error *err)
{
    clv_status st = CLV_OK;
    target_pass t = {.targets = out, .sites = sites};
    size_t *fetched = clvi_alloc_array(sites->n, sizeof *fetched);
    int32_t *fetch = clvi_alloc_array(sites->n, sizeof *fetch);
    *out = (clvi_targets){.n = sites->n, .rows = clvi_calloc(sites->n, sizeof *out->rows)};
    if (!fetched || !fetch || !out->rows) {
        st = FAIL(err, CLV_ERR_NOMEM, "targets of %zu convolutions", sites->n);
        goto out;
    }
    t.fetched = fetched;
    for (size_t i = 0; i < sites->n; i++) {
        const clvi_site *site = &sites->site[i];
        if (site->kept)
            continue;
        const plan p = plan_of(calibration, site, i);
        out->rows[i] = clvi_alloc_array((size_t)p.rows, (size_t)site->shape.o * sizeof(float));
        if (!out->rows[i]) {
            st = FAIL(err, CLV_ERR_NOMEM, "%lld targets of convolution \"%s\"", (long long)p.rows, site->name);
            goto out;
        }
        fetched[t.n_fetched] = i;
        fetch[t.n_fetched++] = site->sum != CLVI_NONE ? site->sum : site->y;
    }
    if (t.n_fetched) {
        pass p = {.calibration = calibration, .stage = "original network", .batch = target_batch, .user = &t};
        st = run_pass(&p, original, fetch, t.n_fetched, err);
    }
out:
    clvi_free(fetched);
    clvi_free(fetch);
    if (st != CLV_OK)
        clvi_targets_free(out);
    return st;
}

void clvi_targets_free(clvi_targets *t)
{
    for (size_t i = 0; t->rows && i < t->n; i++)
        clvi_free(t->rows[i]);
    clvi_free(t->rows);
    *t = (clvi_targets){0};
}

/* --- moments ------------------------------------------------------------------------------------------------------ */

typedef struct moment_pass {
    const clvi_site *site;
    const float *target;   /* [rows, o] */
    clvi_moments *moments; /* [groups] */
    plan plan;
    /* the batch at work */
    const clv_tensor *x, *shortcut; /* shortcut: NULL without one */
    int64_t first;
    const bool *bad; /* of the batch's images */
    int64_t *row_of; /* [batch + 1] first row of each image in the buffers; corrupt images have none */
    size_t capacity; /* rows of the buffers */
    int64_t group;
    float *patches; /* [capacity, q] */
    float *targets; /* [capacity, o / groups] */
} moment_pass;

/* One patch of one group: to[channel, kh, kw], zero outside the image. */
static void gather_patch(const clvi_conv_shape *s, const float *x, int64_t group, int64_t at, float *to)
{
    const int64_t channels = s->c / s->groups, y0 = at / s->ow * s->sh - s->pt, x0 = at % s->ow * s->sw - s->pl;
    x += group * channels * s->h * s->w;
    for (int64_t ch = 0; ch < channels; ch++, x += s->h * s->w)
        for (int64_t i = 0; i < s->kh; i++) {
            const int64_t row = y0 + i * s->dh;
            for (int64_t j = 0; j < s->kw; j++) {
                const int64_t col = x0 + j * s->dw;
                const bool inside = row >= 0 && row < s->h && col >= 0 && col < s->w;
                *to++ = inside ? x[row * s->w + col] : 0.0f;
            }
        }
}

static void sample_patches(void *arg, size_t index, int worker)
{
    (void)worker;
    const moment_pass *m = arg;
    const clvi_conv_shape *s = &m->site->shape;
    const plan *p = &m->plan;
    const int64_t i = (int64_t)index, image = m->first + i;
    const int64_t q = s->c / s->groups * s->kh * s->kw, n = s->o / s->groups;
    const int64_t source = first_row(p, image), count = first_row(p, image + 1) - source;
    clvi_rng rng;
    if (m->bad[i])
        return;
    start_positions(p, &rng, image);
    for (int64_t j = 0; j < count; j++) {
        const int64_t at = next_position(p, &rng, j, count), row = m->row_of[i] + j;
        const float *target = m->target + (source + j) * s->o + m->group * n;
        gather_patch(s, (const float *)m->x->data + i * s->c * s->h * s->w, m->group, at, m->patches + row * q);
        for (int64_t ch = 0; ch < n; ch++) {
            const int64_t plane = i * s->o + m->group * n + ch;
            const float other = m->shortcut ? ((const float *)m->shortcut->data)[plane * p->pixels + at] : 0.0f;
            m->targets[row * n + ch] = target[ch] - other;
        }
    }
}

static clv_status moment_batch(pass *p, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    moment_pass *m = p->user;
    const clvi_conv_shape *s = &m->site->shape;
    m->x = &values[0];
    m->shortcut = m->site->shortcut != CLVI_NONE ? &values[1] : NULL;
    m->first = first;
    m->bad = p->calibration->bad + first;
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) {
        m->row_of[i] = rows;
        rows += m->bad[i] ? 0 : first_row(&m->plan, first + i + 1) - first_row(&m->plan, first + i);
    }
    if ((size_t)rows > m->capacity) {
        const size_t q = (size_t)(s->c / s->groups * s->kh * s->kw), o = (size_t)(s->o / s->groups);
        clvi_free(m->patches);
        clvi_free(m->targets);
        m->patches = clvi_alloc_array((size_t)rows, q * sizeof(float));
        m->targets = clvi_alloc_array((size_t)rows, o * sizeof(float));
        m->capacity = (size_t)rows;
        if (!m->patches || !m->targets)
            return FAIL(err, CLV_ERR_NOMEM, "%lld patches of convolution \"%s\"", (long long)rows, m->site->name);
    }
    for (m->group = 0; rows && m->group < s->groups; m->group++) {
        clvi_pool_run(p->calibration->context->pool, (size_t)n, sample_patches, m);
        const clv_status st = clvi_moments_add(&m->moments[m->group], (size_t)rows, m->patches, m->targets, err);
        if (st != CLV_OK)
            return err ? clvi_fail_prefix(err, st, m->site->name) : st;
    }
    return CLV_OK;
}

static clv_status covariances_of(clvi_covariance **out, const clvi_moments *moments, size_t groups, clv_error *err)
{
    clv_status st = CLV_OK;
    clvi_covariance *cov = clvi_calloc(groups, sizeof *cov);
    if (!cov)
        return FAIL(err, CLV_ERR_NOMEM, "covariances of %zu groups", groups);
    for (size_t g = 0; g < groups && st == CLV_OK; g++)
        st = clvi_covariance_of(&cov[g], &moments[g], err);
    if (st == CLV_OK)
        *out = cov;
    else
        clvi_covariances_free(cov, groups);
    return st;
}

clv_status clvi_site_covariances(clvi_covariance **out, const clvi_graph *graph, const clvi_sites *sites, size_t index,
                                 const clvi_targets *targets, clvi_calibration *calibration, clv_error *err)
{
    const clvi_site *site = &sites->site[index];
    const clvi_conv_shape *s = &site->shape;
    const size_t groups = (size_t)s->groups, q = (size_t)(s->c / s->groups * s->kh * s->kw),
                 n = (size_t)(s->o / s->groups);
    const int32_t fetch[2] = {site->x, site->shortcut};
    clv_status st = CLV_OK;
    moment_pass m = {.site = site, .target = targets->rows[index], .plan = plan_of(calibration, site, index)};
    *out = NULL;
    m.moments = clvi_calloc(groups, sizeof *m.moments);
    m.row_of = clvi_alloc_array((size_t)(calibration->fixed_batch ? calibration->fixed_batch : calibration->batch),
                                sizeof *m.row_of);
    if (!m.moments || !m.row_of) {
        st = FAIL(err, CLV_ERR_NOMEM, "statistics of convolution \"%s\"", site->name);
        goto out;
    }
    for (size_t g = 0; g < groups; g++) {
        if ((st = clvi_moments_create(&m.moments[g], q, n, err)) != CLV_OK)
            goto out;
        m.moments[g].pool = calibration->context->pool;
    }
    pass p = {.calibration = calibration, .stage = site->name, .batch = moment_batch, .user = &m};
    if ((st = run_pass(&p, graph, fetch, site->shortcut != CLVI_NONE ? 2 : 1, err)) != CLV_OK)
        goto out;
    st = covariances_of(out, m.moments, groups, err);
out:
    for (size_t g = 0; m.moments && g < groups; g++)
        clvi_moments_free(&m.moments[g]);
    clvi_free(m.moments);
    clvi_free(m.row_of);
    clvi_free(m.patches);
    clvi_free(m.targets);
    return st;
}

void clvi_covariances_free(clvi_covariance *cov, size_t groups)
{
    for (size_t g = 0; cov && g < groups; g++)
        clvi_covariance_free(&cov[g]);
    clvi_free(cov);
}
