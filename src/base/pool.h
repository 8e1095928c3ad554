/* SPDX-License-Identifier: Apache-2.0 */
/* A fixed pool of threads that runs numbered tasks. */
#ifndef CLVI_BASE_POOL_H
#define CLVI_BASE_POOL_H

#include <stddef.h>

#include "base/status.h"

typedef struct clvi_pool clvi_pool;

/* threads >= 1 counts the caller; threads - 1 are created. */
clv_status clvi_pool_create(clvi_pool **out, int threads, clv_error *err);
void clvi_pool_free(clvi_pool *pool);         /* NULL-safe; joins */
int clvi_pool_threads(const clvi_pool *pool); /* 1 for NULL */

/* task index in [0, n); worker in [0, threads), each worker runs one task at a time, so `worker` may
 * select a scratch buffer. */
typedef void (*clvi_task)(void *arg, size_t index, int worker);

/* Run tasks 0..n-1 and return when all are done. Worker i begins with the i-th part of them, in order; who is done
 * takes what others have left. Tasks compute in the caller's floating-point mode. A NULL pool, or a call from inside a
 * task, runs them in the caller (worker 0 or the same worker). One caller at a time per pool. To give the same bits for
 * any number of threads, the result of a task must not depend on which worker runs it. */
void clvi_pool_run(clvi_pool *pool, size_t n, clvi_task task, void *arg);

#endif
