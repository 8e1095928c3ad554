/* SPDX-License-Identifier: Apache-2.0 */
/* Workers spin a short while for the next job and then sleep on a condition variable. A job is a generation
 * number, published under the mutex and mirrored in an atomic that spinning workers read. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"

#define SPINS 2000

typedef struct worker {
    clvi_pool *pool;
    pthread_t thread;
    int id;
} worker;

struct clvi_pool {
    int threads;
    worker *workers; /* threads - 1 */
    int started;
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    atomic_ulong generation;
    atomic_bool stop;
    atomic_size_t next;
    atomic_int busy; /* workers that have not yet finished this generation */
    size_t n;
    clvi_task task;
    void *arg;
};

static _Thread_local int current_worker = -1; /* >= 0 inside a task */

static void drain(clvi_pool *pool, int id)
{
    current_worker = id;
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->n)
            break;
        pool->task(pool->arg, i, id);
    }
    current_worker = -1;
}

static bool wait_for_job(clvi_pool *pool, unsigned long seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
            return true;
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed))
            return false;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->generation) == seen && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->wake, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return !atomic_load(&pool->stop);
}

static void *worker_main(void *arg)
{
    const worker *w = arg;
    clvi_pool *pool = w->pool;
    unsigned long seen = 0;
    while (wait_for_job(pool, seen)) {
        seen++;
        drain(pool, w->id);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
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
    pool->workers = clvi_calloc((size_t)threads, sizeof *pool->workers);
    if (!pool->workers) {
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
    clvi_free(pool);
}

int clvi_pool_threads(const clvi_pool *pool)
{
    return pool ? pool->threads : 1;
}

void clvi_pool_run(clvi_pool *pool, size_t n, clvi_task task, void *arg)
{
    if (!pool || pool->threads == 1 || n <= 1 || current_worker >= 0) {
        const int id = current_worker < 0 ? 0 : current_worker;
        for (size_t i = 0; i < n; i++)
            task(arg, i, id);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->n = n;
    pool->task = task;
    pool->arg = arg;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);

    drain(pool, 0);
    for (int i = 0; i < SPINS; i++)
        if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0)
            return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->busy, memory_order_acquire) > 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
