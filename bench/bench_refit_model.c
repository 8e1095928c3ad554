/* SPDX-License-Identifier: Apache-2.0 */
/* bench_refit_model MODEL CALIBRATION TEST PREPROCESS [MULTIPLIER [IMAGES [FORM]]]: a network compressed layer by layer
 * (asymmetric, shortcut targets), each layer by least squares alone and then through the ReLU behind it. Prints top-1
 * on TEST, the mean loss behind the ReLUs on the reservoirs, and seconds spent in fits. Everything is held in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "compress/sites.h"
#include "decompose/refit.h"
#include "measure/preprocess.h"
#include "onnx/onnx.h"
#include "runtime/passes.h"

enum { POSITIONS = 16, BATCH = 64 };

typedef struct images {
    float *data; /* [n, c, h, w] */
    int64_t *label;
    clv_tensor shape; /* of all of them, no data */
} images;

typedef struct bench {
    clvi_graph *original;
    clvi_sites sites;
    clvi_shapes shapes;
    images train, test;
    const clvi_form *form;
    double multiplier;
    clv_context *context;
} bench;

static clv_status load(images *out, const char *path, int64_t limit, const clv_preprocess *preprocess,
                       clv_context *context, clv_error *err)
{
    clv_dataset *data = NULL;
    clv_dataset_opts opts = clv_dataset_opts_default();
    int64_t chw[3];
    clv_status st;
    opts.limit = limit;
    if ((st = clv_dataset_open(&data, path, &opts, err)) != CLV_OK ||
        (st = clv_dataset_shape(data, 0, preprocess, chw, err)) != CLV_OK)
        goto out;
    const int64_t n = clv_dataset_count(data);
    out->shape = (clv_tensor){.dtype = CLV_FLOAT32, .rank = 4, .dims = {n, chw[0], chw[1], chw[2]}};
    out->data = clvi_alloc_array((size_t)clv_tensor_count(&out->shape), sizeof *out->data);
    out->label = clvi_alloc_array((size_t)n, sizeof *out->label);
    if (!out->data || !out->label) {
        st = FAIL(err, CLV_ERR_NOMEM, "%lld images", (long long)n);
        goto out;
    }
    clv_tensor all = out->shape;
    all.data = out->data;
    st = clv_dataset_read(data, 0, n, preprocess, &all, NULL, context, err);
    for (int64_t i = 0; i < n; i++)
        out->label[i] = clv_dataset_label(data, i);
out:
    clv_dataset_free(data);
    return st;
}

/* Called with the fetched values of images [first, first + n). */
typedef void (*batch_fn)(void *arg, int64_t first, int64_t n, const clv_tensor *values);

static clv_status over_images(const images *im, const clvi_graph *graph, const int32_t *fetch, size_t n_fetch,
                              clv_context *context, batch_fn batch, void *arg, clv_error *err)
{
    clvi_session *session = NULL;
    const clvi_session_opts opts = {.fetch = fetch, .n_fetch = n_fetch};
    clv_tensor values[2];
    clv_status st;
    TRY(clvi_session_create(&session, graph, &opts, context, err));
    const int64_t each = clv_tensor_count(&im->shape) / im->shape.dims[0];
    for (int64_t first = 0; first < im->shape.dims[0]; first += BATCH) {
        clv_tensor input = im->shape;
        const int64_t left = im->shape.dims[0] - first;
        input.dims[0] = left < BATCH ? left : BATCH;
        input.data = im->data + first * each;
        if ((st = clvi_session_run(session, &input, 1, values, err)) != CLV_OK)
            goto out;
        batch(arg, first, input.dims[0], values);
    }
    st = CLV_OK;
out:
    clvi_session_free(session);
    return st;
}

typedef struct reservoir {
    const clvi_site *site;
    size_t q, rows;
    int64_t *position; /* [rows] */
    float *x, *y, *shortcut;
} reservoir;

static void rows_of_map(float *to, const clv_tensor *map, int64_t image, int64_t first, const reservoir *r)
{
    const int64_t o = r->site->shape.o, pixels = r->site->shape.oh * r->site->shape.ow;
    const float *from = (const float *)map->data + image * o * pixels;
    for (int64_t p = 0; p < POSITIONS; p++) {
        const int64_t row = (first + image) * POSITIONS + p;
        for (int64_t i = 0; i < o; i++)
            to[row * o + i] = from[i * pixels + r->position[row]];
    }
}

static void take_targets(void *arg, int64_t first, int64_t n, const clv_tensor *values)
{
    reservoir *r = arg;
    for (int64_t i = 0; i < n; i++)
        rows_of_map(r->y, &values[0], i, first, r);
}

static void take_patches(void *arg, int64_t first, int64_t n, const clv_tensor *values)
{
    reservoir *r = arg;
    const clvi_conv_shape *s = &r->site->shape;
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < POSITIONS; p++) {
            const int64_t row = (first + i) * POSITIONS + p, at = r->position[row];
            const float *x = (const float *)values[0].data + i * s->c * s->h * s->w;
            float *to = r->x + (size_t)row * r->q;
            for (int64_t c = 0; c < s->c; c++)
                for (int64_t a = 0; a < s->kh; a++)
                    for (int64_t b = 0; b < s->kw; b++) {
                        const int64_t h = at / s->ow * s->sh - s->pt + a * s->dh;
                        const int64_t w = at % s->ow * s->sw - s->pl + b * s->dw;
                        const bool inside = h >= 0 && h < s->h && w >= 0 && w < s->w;
                        *to++ = inside ? x[(c * s->h + h) * s->w + w] : 0;
                    }
        }
    for (int64_t i = 0; i < n && r->shortcut; i++)
        rows_of_map(r->shortcut, &values[1], i, first, r);
}

static void reservoir_free(reservoir *r)
{
    clvi_free(r->position);
    clvi_free(r->x);
    clvi_free(r->y);
    clvi_free(r->shortcut);
}

static clv_status reservoir_create(reservoir *r, const bench *b, const clvi_site *site, const clvi_graph *graph,
                                   clv_error *err)
{
    const size_t o = (size_t)site->shape.o;
    const int32_t target = site->sum != CLVI_NONE ? site->sum : site->y, fetch[2] = {site->x, site->shortcut};
    clvi_rng rng;
    *r = (reservoir){.site = site,
                     .q = (size_t)(site->conv.c * site->conv.kh * site->conv.kw),
                     .rows = (size_t)b->train.shape.dims[0] * POSITIONS};
    r->position = clvi_alloc_array(r->rows, sizeof *r->position);
    r->x = clvi_alloc_array(r->rows, r->q * sizeof(float));
    r->y = clvi_alloc_array(r->rows, o * sizeof(float));
    if (site->shortcut != CLVI_NONE)
        r->shortcut = clvi_alloc_array(r->rows, o * sizeof(float));
    if (!r->position || !r->x || !r->y || (site->shortcut != CLVI_NONE && !r->shortcut))
        return FAIL(err, CLV_ERR_NOMEM, "reservoir of \"%s\"", site->name);
    clvi_rng_seed_stream(&rng, 1, (uint64_t)site->x);
    for (size_t i = 0; i < r->rows; i++)
        r->position[i] = (int64_t)clvi_rng_below(&rng, (uint64_t)(site->shape.oh * site->shape.ow));
    TRY(over_images(&b->train, b->original, &target, 1, b->context, take_targets, r, err));
    return over_images(&b->train, graph, fetch, site->shortcut != CLVI_NONE ? 2 : 1, b->context, take_patches, r, err);
}

static clv_status covariance(clvi_covariance *out, const reservoir *r, clv_context *context, clv_error *err)
{
    const size_t o = (size_t)r->site->shape.o;
    clvi_moments m = {0};
    clv_status st;
    float *t = clvi_alloc_array(r->rows, o * sizeof *t);
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "targets of \"%s\"", r->site->name);
    for (size_t i = 0; i < r->rows * o; i++)
        t[i] = r->y[i] - (r->shortcut ? r->shortcut[i] : 0);
    if ((st = clvi_moments_create(&m, r->q, o, err)) == CLV_OK) {
        m.pool = context->pool;
        if ((st = clvi_moments_add(&m, r->rows, r->x, t, err)) == CLV_OK)
            st = clvi_covariance_of(out, &m, err);
    }
    clvi_moments_free(&m);
    clvi_free(t);
    return st;
}

/* A ReLU that alone reads what the site ends in. */
static clvi_activation activation_of(const clvi_graph *graph, const clvi_site *site)
{
    const int32_t value = site->sum != CLVI_NONE ? site->sum : site->y;
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->n_in == 1 && graph->nodes[i]->in[0] == value && clvi_node_is(graph->nodes[i], "Relu"))
            return (clvi_activation){.kind = CLVI_ACTIVATION_RELU};
    return (clvi_activation){.kind = CLVI_ACTIVATION_NONE};
}

typedef struct hits {
    const images *im;
    int64_t right;
} hits;

static void count_hits(void *arg, int64_t first, int64_t n, const clv_tensor *values)
{
    hits *h = arg;
    const int64_t classes = values[0].dims[1];
    for (int64_t i = 0; i < n; i++) {
        const float *y = (const float *)values[0].data + i * classes;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            best = y[k] > y[best] ? k : best;
        h->right += best == h->im->label[first + i];
    }
}

static clv_status top1(double *out, const bench *b, const clvi_graph *graph, clv_error *err)
{
    hits h = {.im = &b->test};
    TRY(over_images(&b->test, graph, &graph->outputs[0], 1, b->context, count_hits, &h, err));
    *out = 100 * (double)h.right / (double)b->test.shape.dims[0];
    return CLV_OK;
}

typedef struct sums {
    double before, after, first_seconds, seconds;
    int layers;
} sums;

static clv_status split(sums *total, const bench *b, const clvi_site *site, clvi_graph *graph,
                        const clvi_refit_opts *opts, clvi_arena *arena, clv_error *err)
{
    clvi_fit_opts fit_opts = clvi_fit_opts_default();
    clvi_covariance cov = {0};
    reservoir r;
    clvi_fit start;
    clvi_refit_result result;
    clv_status st;
    fit_opts.multiplier = b->multiplier;
    if ((st = reservoir_create(&r, b, site, graph, err)) != CLV_OK ||
        (st = covariance(&cov, &r, b->context, err)) != CLV_OK)
        goto out;
    const double begin = clvi_now();
    if ((st = b->form->fit(&start, &site->conv, &cov, &fit_opts, arena, b->context, err)) != CLV_OK)
        goto out;
    const double middle = clvi_now();
    const float *const x = r.x;
    const clvi_reservoir samples = {r.rows, &x, r.y, r.shortcut};
    const clvi_activation activation = activation_of(b->original, site);
    const clvi_refit_task task = {&site->conv, b->form, &fit_opts, &start, &samples, &activation, &cov};
    if ((st = clvi_refit(&result, &task, opts, arena, b->context, err)) != CLV_OK)
        goto out;
    total->before += result.before;
    total->after += result.after;
    total->first_seconds += middle - begin;
    total->seconds += clvi_now() - middle;
    total->layers++;
    st = clvi_site_rewrite(graph, site, &result.fit.chain, err);
out:
    clvi_covariance_free(&cov);
    reservoir_free(&r);
    return st;
}

static clv_status compress(const char *label, const bench *b, const clvi_refit_opts *opts, clv_error *err)
{
    clvi_graph *graph = NULL;
    clvi_arena *arena = clvi_arena_create();
    sums total = {0};
    double accuracy = 0;
    clv_status st = arena ? clvi_graph_clone(&graph, b->original, err) : FAIL(err, CLV_ERR_NOMEM, "fits");
    for (size_t i = 0; i < b->sites.n && st == CLV_OK; i++) {
        const clvi_site *site = &b->sites.site[i];
        if (site->kept || b->original->values[site->x].is_input || site->conv.groups != 1 ||
            b->form->refuses(&site->conv))
            continue;
        const clvi_fit_opts size = {.multiplier = b->multiplier};
        const int64_t macs = b->form->macs(&site->conv, &size);
        if (macs > 0 && macs < clvi_conv_macs_per_pixel(&site->conv))
            st = split(&total, b, site, graph, opts, arena, err);
    }
    if (st == CLV_OK)
        st = top1(&accuracy, b, graph, err);
    if (st == CLV_OK && total.layers)
        (void)printf("%-11s %-30s %7.2f %9.4f %9.4f %8.2f %8.2f\n", b->form->name, label, accuracy,
                     total.before / total.layers, total.after / total.layers, total.first_seconds, total.seconds);
    (void)fflush(stdout);
    clvi_graph_free(graph);
    clvi_arena_free(arena);
    return st;
}

static clv_status prepare(bench *b, char **argv, int64_t limit, clv_error *err)
{
    clv_preprocess preprocess;
    TRY(clv_preprocess_preset(&preprocess, argv[4], err));
    TRY(clvi_onnx_read(&b->original, argv[1], err));
    TRY(clvi_pass_fold_constants(b->original, err));
    TRY(clvi_pass_fold_batchnorm(b->original, err));
    TRY(load(&b->train, argv[2], limit, &preprocess, b->context, err));
    TRY(load(&b->test, argv[3], 0, &preprocess, b->context, err));
    clv_tensor one = b->train.shape;
    one.dims[0] = 1;
    TRY(clvi_shapes_infer(&b->shapes, b->original, &one, 1, err));
    return clvi_sites_find(&b->sites, b->original, &b->shapes, err);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *label;
        clvi_refit_opts opts;
    } ways[] = {
        {"least squares", {CLVI_REFIT_MAJORISE, 0, 0, 0}},
        {"majorise, last link alone", {CLVI_REFIT_MAJORISE, 0, 12, 0.001}},
        {"majorise, 6 fits", {CLVI_REFIT_MAJORISE, 6, 0, 0.005}},
        {"majorise, 6 fits + last link", {CLVI_REFIT_MAJORISE, 6, 8, 0.005}},
        {"Zhang et al., 25 + 25 fits", {CLVI_REFIT_ALTERNATE, 25, 0, 0}},
    };
    bench b = {0};
    clv_error err = {0};
    double before = 0;
    if (argc < 5) {
        (void)fputs("usage: bench_refit_model MODEL CALIBRATION TEST PREPROCESS [MULTIPLIER [IMAGES [FORM]]]\n",
                    stderr);
        return 2;
    }
    b.multiplier = argc > 5 ? strtod(argv[5], NULL) : 2;
    b.form = clvi_form_find(argc > 7 ? argv[7] : "depthwise");
    if (!b.form || clv_context_create(&b.context, NULL, &err) != CLV_OK ||
        prepare(&b, argv, argc > 6 ? strtol(argv[6], NULL, 10) : 1000, &err) != CLV_OK ||
        top1(&before, &b, b.original, &err) != CLV_OK) {
        (void)fprintf(stderr, "bench_refit_model: %s\n", b.form ? err.msg : "no such form");
        return 1;
    }
    (void)printf("multiplier %g, %lld images x %d positions, %lld test images, top-1 %.2f %%\n", b.multiplier,
                 (long long)b.train.shape.dims[0], POSITIONS, (long long)b.test.shape.dims[0], before);
    (void)printf("%-11s %-30s %7s %9s %9s %8s %8s\n", "form", "fit", "top-1", "loss", "refitted", "fit s", "refit s");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (compress(ways[i].label, &b, &ways[i].opts, &err) != CLV_OK) {
            (void)fprintf(stderr, "bench_refit_model: %s: %s\n", ways[i].label, err.msg);
            return 1;
        }
    clvi_sites_free(&b.sites);
    clvi_shapes_free(&b.shapes);
    clvi_graph_free(b.original);
    clv_context_free(b.context);
    return 0;
}
