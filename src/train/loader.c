/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "base/status.h"
#include "train/augment.h"

#define SLOTS       3
#define CHANGES     0x9e3779b97f4a7c15u /* streams of random numbers beside that of the order */
#define MIXTURES    0xd1b54a32d192ed03u
#define CACHE_BYTES ((size_t)1 << 30)

enum { UNREAD = 0, READ, BAD };

typedef struct slot {
    float *images;
    int64_t *labels, *others;
    double *shares;
    bool full;
} slot;

struct clvi_loader {
    clv_dataset *dataset;
    const clv_preprocess *preprocess;
    clvi_loader_opts opts;
    int64_t *items, *order; /* [n_items]: of the data set; this epoch's order */
    int64_t epoch;          /* that order is of; -1: none */
    int64_t own;            /* images of a batch that are read here */
    size_t image;           /* floats */
    float *cache;           /* [n_items][image], or NULL: too large */
    uint8_t *state;         /* [n_items] */
    float *one;             /* without a cache: the image at hand */
    float *room, *partner;  /* scratch: a cropped image; the one that is mixed in */
    clvi_augment augment;
    clv_context *context; /* of the reading thread */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, synced, stop, failed;
    slot slots[SLOTS];
    int write, read, held; /* held: the slot that the caller reads; -1: none */
    clv_status status;
    clv_error error;
};

/* --- the reading thread ------------------------------------------------------------------------------------------ */

static void shuffle(clvi_loader *l, int64_t epoch)
{
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, l->opts.seed, (uint64_t)epoch);
    for (int64_t i = 0; i < l->opts.n_items; i++)
        l->order[i] = i;
    for (int64_t i = l->opts.n_items - 1; i > 0; i--) {
        const int64_t j = (int64_t)clvi_rng_below(&rng, (uint64_t)i + 1), k = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = k;
    }
    l->epoch = epoch;
}

/* The pixels of item `at`, *pixels NULL when it is corrupt. */
static clv_status pixels_of(clvi_loader *l, int64_t at, const float **pixels, clv_error *err)
{
    float *const to = l->cache ? l->cache + (size_t)at * l->image : l->one;
    if (!l->cache || l->state[at] == UNREAD) {
        bool bad = false;
        clv_tensor t = {CLV_FLOAT32, 4, {1, l->opts.chw[0], l->opts.chw[1], l->opts.chw[2]}, to};
        TRY(clv_dataset_read(l->dataset, l->items[at], 1, l->preprocess, &t, &bad, l->context, err));
        l->state[at] = bad ? BAD : READ;
    }
    *pixels = l->state[at] == BAD ? NULL : to;
    return CLV_OK;
}

/* What stands in place i of the batch of a step, changed at random: to `out`, and its label. A corrupt image gives its
 * place to the next one of the order that is not. */
static clv_status place(clvi_loader *l, int64_t step, int64_t i, float *out, int64_t *label, clv_error *err)
{
    const int64_t n = l->opts.n_items, per_epoch = n / l->opts.batch, first = step % per_epoch * l->opts.batch;
    const float *pixels = NULL;
    int64_t at = 0;
    for (int64_t skip = 0; skip < n && !pixels; skip++) {
        at = l->order[(first + i + skip) % n];
        TRY(pixels_of(l, at, &pixels, err));
    }
    if (!pixels)
        return FAIL(err, CLV_ERR_DATA, "none of %" PRId64 " images can be read", n);
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, l->opts.seed ^ CHANGES, (uint64_t)(step * l->opts.batch + i));
    clvi_augment_image(&l->augment, out, pixels, l->room, &rng);
    *label = clv_dataset_label(l->dataset, l->items[at]);
    return CLV_OK;
}

/* Image k of the slot, place i of the batch, becomes share of itself and the rest of the one half a batch further on,
 * which is any other: the order is random. */
static clv_status mix(clvi_loader *l, slot *s, int64_t step, int64_t k, int64_t i, clv_error *err)
{
    const int64_t other = (i + l->opts.batch / 2) % l->opts.batch;
    float *const image = s->images + (size_t)k * l->image;
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, l->opts.seed ^ MIXTURES, (uint64_t)(step * l->opts.batch + i));
    TRY(place(l, step, other, l->partner, &s->others[k], err));
    s->shares[k] = clvi_augment_share(&rng, l->opts.mixup);
    const float share = (float)s->shares[k];
    for (size_t p = 0; p < l->image; p++)
        image[p] = share * image[p] + (1 - share) * l->partner[p];
    return CLV_OK;
}

static clv_status fill(clvi_loader *l, slot *s, int64_t step, clv_error *err)
{
    const int64_t epoch = step / (l->opts.n_items / l->opts.batch);
    if (l->epoch != epoch)
        shuffle(l, epoch);
    for (int64_t k = 0; k < l->own; k++) {
        const int64_t i = l->opts.part * l->own + k; /* in the batch */
        TRY(place(l, step, i, s->images + (size_t)k * l->image, &s->labels[k], err));
        if (l->opts.mixup > 0)
            TRY(mix(l, s, step, k, i, err));
    }
    return CLV_OK;
}

static void *reading(void *arg)
{
    clvi_loader *const l = arg;
    int64_t step = l->opts.first_step;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->failed) {
        slot *const s = &l->slots[l->write];
        if (s->full) {
            (void)pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&l->lock);
        clv_error err = {0};
        const clv_status st = fill(l, s, step, &err);
        (void)pthread_mutex_lock(&l->lock);
        l->failed = st != CLV_OK;
        l->status = st;
        l->error = err;
        s->full = st == CLV_OK;
        l->write = (l->write + 1) % SLOTS;
        step++;
        (void)pthread_cond_broadcast(&l->changed);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* --- the caller's side ------------------------------------------------------------------------------------------- */

clv_status clvi_loader_next(clvi_loader *l, clvi_batch *out, clv_error *err)
{
    clv_status st = CLV_OK;
    (void)pthread_mutex_lock(&l->lock);
    if (l->held >= 0) {
        l->slots[l->held].full = false;
        l->held = -1;
        (void)pthread_cond_broadcast(&l->changed);
    }
    while (!l->slots[l->read].full && !l->failed)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    if (l->slots[l->read].full) {
        const slot *const s = &l->slots[l->read];
        const bool mixed = l->opts.mixup > 0;
        *out = (clvi_batch){s->images, s->labels, mixed ? s->others : NULL, mixed ? s->shares : NULL};
        l->held = l->read;
        l->read = (l->read + 1) % SLOTS;
    } else {
        if (err)
            *err = l->error;
        st = l->status;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return st;
}

static clv_status allocate(clvi_loader *l, clv_error *err)
{
    const size_t n = (size_t)l->opts.n_items, batch = (size_t)l->own;
    size_t bytes;
    l->image = (size_t)(l->opts.chw[0] * l->opts.chw[1] * l->opts.chw[2]);
    l->items = clvi_alloc_array(n, sizeof *l->items);
    l->order = clvi_alloc_array(n, sizeof *l->order);
    l->state = clvi_calloc(n, 1);
    l->one = clvi_alloc_array(l->image, sizeof *l->one);
    if (clvi_mul(n, l->image * sizeof(float), &bytes) && bytes <= CACHE_BYTES)
        l->cache = clvi_alloc(bytes);
    l->room = clvi_alloc_array(l->image, sizeof *l->room);
    l->partner = clvi_alloc_array(l->image, sizeof *l->partner);
    bool ok = l->items && l->order && l->state && l->one && l->room && l->partner;
    for (int i = 0; i < SLOTS; i++) {
        l->slots[i].images = clvi_alloc_array(batch * l->image, sizeof(float));
        l->slots[i].labels = clvi_alloc_array(batch, sizeof(int64_t));
        l->slots[i].others = clvi_alloc_array(batch, sizeof(int64_t));
        l->slots[i].shares = clvi_alloc_array(batch, sizeof(double));
        ok = ok && l->slots[i].images && l->slots[i].labels && l->slots[i].others && l->slots[i].shares;
    }
    if (!ok)
        return FAIL(err, CLV_ERR_NOMEM, "batches of %zu images", batch);
    memcpy(l->items, l->opts.items, n * sizeof *l->items);
    return CLV_OK;
}

static clv_status check(const clvi_loader_opts *o, const clv_dataset *dataset, clv_error *err)
{
    if (o->n_items < 1 || o->batch < 1 || o->batch > o->n_items)
        return FAIL(err, CLV_ERR_DATA, "batches of %" PRId64 " images cannot be taken from %" PRId64, o->batch,
                    o->n_items);
    for (int64_t i = 0; i < o->n_items && o->labels; i++)
        if (clv_dataset_label(dataset, o->items[i]) < 0)
            return FAIL(err, CLV_ERR_DATA, "%s has no label", clv_dataset_name(dataset, o->items[i]));
    return CLV_OK;
}

clv_status clvi_loader_create(clvi_loader **out, clv_dataset *dataset, const clv_preprocess *preprocess,
                              const clvi_loader_opts *opts, clv_error *err)
{
    *out = NULL;
    TRY(check(opts, dataset, err));
    clvi_loader *const l = clvi_calloc(1, sizeof *l);
    if (!l)
        return FAIL(err, CLV_ERR_NOMEM, "loader");
    *l = (clvi_loader){.dataset = dataset, .preprocess = preprocess, .opts = *opts, .epoch = -1, .held = -1};
    l->opts.parts = opts->parts > 0 ? opts->parts : 1;
    l->own = opts->batch / l->opts.parts;
    clv_context_opts one = clv_context_opts_default();
    one.threads = 1;
    const clvi_augment_opts changes = {opts->shift, opts->flip, opts->cutout, opts->crop, opts->jitter};
    clv_status st = clv_context_create(&l->context, &one, err);
    if (st == CLV_OK)
        st = clvi_augment_create(&l->augment, &changes, opts->chw, preprocess, err);
    if (st == CLV_OK)
        st = allocate(l, err);
    if (st == CLV_OK) {
        l->synced = pthread_mutex_init(&l->lock, NULL) == 0 && pthread_cond_init(&l->changed, NULL) == 0;
        l->started = l->synced && pthread_create(&l->thread, NULL, reading, l) == 0;
        if (!l->started)
            st = FAIL(err, CLV_ERR_NOMEM, "a thread for reading images");
    }
    if (st == CLV_OK)
        *out = l;
    else
        clvi_loader_free(l);
    return st;
}

void clvi_loader_free(clvi_loader *l)
{
    if (!l)
        return;
    if (l->started) {
        (void)pthread_mutex_lock(&l->lock);
        l->stop = true;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
        (void)pthread_join(l->thread, NULL);
    }
    if (l->synced) {
        (void)pthread_mutex_destroy(&l->lock);
        (void)pthread_cond_destroy(&l->changed);
    }
    for (int i = 0; i < SLOTS; i++) {
        clvi_free(l->slots[i].images);
        clvi_free(l->slots[i].labels);
        clvi_free(l->slots[i].others);
        clvi_free(l->slots[i].shares);
    }
    clv_context_free(l->context);
    clvi_free(l->items);
    clvi_free(l->order);
    clvi_free(l->state);
    clvi_free(l->cache);
    clvi_free(l->one);
    clvi_free(l->room);
    clvi_free(l->partner);
    clvi_free(l);
}
