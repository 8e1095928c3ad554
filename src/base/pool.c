/* SPDX-License-Identifier: Apache-2.0 */
/* Every worker has a range of the tasks, the same part of it in every job, so that what one step of a network left in a
 * core's cache is there for the next; who is done takes from the end of another's. A job is opened and closed in one
 * word: its number, whether it is closed, and how many workers are inside. A worker that wakes too late finds it closed
 * and nobody has waited for it. Workers spin a while for the next job and then sleep. */
#include "base/pool.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/float_mode.h"
#include "base/mem.h"

#define SPINS     3000              /* pauses: of 40 to 140 cycles each */
#define MOST      ((size_t)1 << 31) /* tasks of a job */
#define CLOSED    ((uint64_t)1 << 31)
#define INSIDE    (CLOSED - 1)
#define JOB(gate) ((gate) >> 32)

/* [begin, end) in one word: end in the upper half. The owner takes from the front, others from the back. */
typedef struct range {
    alignas(64) _Atomic uint64_t span;
} range;

typedef struct worker {
    clvi_pool *pool;
    pthread_t thread;
    int id;
} worker;

struct clvi_pool {
    alignas(64) _Atomic uint64_t gate; /* job << 32 | CLOSED | workers inside */
    atomic_int asleep;                 /* workers */
    atomic_bool waiting, stop;         /* waiting: the caller sleeps until the last worker is out */
    alignas(64) int threads;
    int started;
    size_t first, n;
    clvi_task task;
    void *arg;
    clvi_float_mode mode; /* of the caller; workers take it over */
    worker *workers;      /* [threads - 1] */
    range *ranges;        /* [threads] */
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
};

static _Thread_local int current_worker = -1; /* >= 0 inside a task */

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool take(range *r, bool front, size_t *index)
{
    uint64_t span = atomic_load_explicit(&r->span, memory_order_relaxed);
    for (;;) {
        const uint64_t begin = span & UINT32_MAX, end = span >> 32;
        if (begin >= end)
            return false;
        *index = (size_t)(front ? begin : end - 1);
        const uint64_t left = front ? span + 1 : span - ((uint64_t)1 << 32);
        if (atomic_compare_exchange_weak_explicit(&r->span, &span, left, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

static void drain(clvi_pool *pool, int id)
{
    size_t index;
    current_worker = id;
    for (int i = 0; i < pool->threads; i++) {
        range *const r = &pool->ranges[(id + i) % pool->threads];
        while (take(r, i == 0, &index))
            pool->task(pool->arg, pool->first + index, id);
    }
    current_worker = -1;
}

/* Go into the job that is open, if one is. *seen: its number. */
static bool enter(clvi_pool *pool, uint64_t *seen)
{
    uint64_t gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
    for (;;) {
        *seen = JOB(gate);
        if (gate & CLOSED)
            return false;
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                                  memory_order_acquire))
            return true;
    }
}

static void leave(clvi_pool *pool)
{
    const uint64_t before = atomic_fetch_sub(&pool->gate, 1);
    if ((before & CLOSED) && (before & INSIDE) == 1 && atomic_load(&pool->waiting)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Until there is another job than `seen`; false: the pool ends. */
static bool wait_for_job(clvi_pool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (JOB(atomic_load_explicit(&pool->gate, memory_order_acquire)) != seen)
            return true;
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed))
            return false;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (JOB(atomic_load(&pool->gate)) == seen && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
    return !atomic_load(&pool->stop);
}

static void *worker_main(void *arg)
{
    const worker *w = arg;
    clvi_pool *pool = w->pool;
    uint64_t seen = 0;
    while (wait_for_job(pool, seen)) {
        if (!enter(pool, &seen))
            continue;
        clvi_float_mode_set(pool->mode);
        drain(pool, w->id);
        leave(pool);
    }
    return NULL;
}

clv_status clvi_pool_create(clvi_pool **out, int threads, clv_error *err)
{
    *out = NULL;
    if (threads < 1 || threads > 4096)
        return FAIL(err, CLV_ERR_ARG, "%d threads asked for, 1 to 4096 are possible", threads);
    clvi_pool *pool = clvi_calloc(1, sizeof *pool);
    if (!pool)
        return FAIL(err, CLV_ERR_NOMEM, "thread pool");
    pool->threads = threads;
    pool->gate = CLOSED;
    pool->workers = clvi_calloc((size_t)threads, sizeof *pool->workers);
    pool->ranges = clvi_calloc((size_t)threads, sizeof *pool->ranges);
    if (!pool->workers || !pool->ranges) {
        clvi_free(pool->workers);
        clvi_free(pool->ranges);
        clvi_free(pool);
        return FAIL(err, CLV_ERR_NOMEM, "thread pool of %d", threads);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 0; i + 1 < threads; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].id = i + 1;
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]) != 0) {
            clvi_pool_free(pool);
            return FAIL(err, CLV_ERR_IO, "cannot start thread %d of %d", i + 2, threads);
        }
        pool->started++;
    }
    *out = pool;
    return CLV_OK;
}

void clvi_pool_free(clvi_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    clvi_free(pool->workers);
    clvi_free(pool->ranges);
    clvi_free(pool);
}

int clvi_pool_threads(const clvi_pool *pool)
{
    return pool ? pool->threads : 1;
}

/* Let the workers at it and take part. */
static void run_job(clvi_pool *pool)
{
    const size_t threads = (size_t)pool->threads;
    for (size_t i = 0; i < threads; i++) {
        const uint64_t begin = pool->n * i / threads, end = pool->n * (i + 1) / threads;
        atomic_store_explicit(&pool->ranges[i].span, end << 32 | begin, memory_order_relaxed);
    }
    const uint64_t job = JOB(atomic_load_explicit(&pool->gate, memory_order_relaxed)) + 1;
    atomic_store(&pool->gate, job << 32); /* before `asleep` is read, as sleepers write that before they read this */
    if (atomic_load(&pool->asleep) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
    drain(pool, 0);
    uint64_t gate = atomic_fetch_or(&pool->gate, CLOSED);
    for (int i = 0; i < SPINS && (gate & INSIDE); i++) {
        pause_briefly();
        gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
    if ((gate & INSIDE) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, true);
    while (atomic_load(&pool->gate) & INSIDE)
        pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->waiting, false);
    pthread_mutex_unlock(&pool->lock);
}

void clvi_pool_run(clvi_pool *pool, size_t n, clvi_task task, void *arg)
{
    if (!pool || pool->threads == 1 || n <= 1 || current_worker >= 0) {
        const int id = current_worker < 0 ? 0 : current_worker;
        for (size_t i = 0; i < n; i++)
            task(arg, i, id);
        return;
    }
    pool->task = task;
    pool->arg = arg;
    pool->mode = clvi_float_mode_get();
    for (pool->first = 0; pool->first < n; pool->first += pool->n) {
        pool->n = n - pool->first < MOST ? n - pool->first : MOST;
        run_job(pool);
    }
}
