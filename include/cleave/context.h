/* SPDX-License-Identifier: Apache-2.0 */
/* The context of work: threads, instruction set, log, progress, cancellation. */
#ifndef CLEAVE_CONTEXT_H
#define CLEAVE_CONTEXT_H

#include <signal.h>
#include <stdint.h>

#include "cleave/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_context clv_context;
struct clv_ranks;

typedef enum clv_log_level { CLV_LOG_WARNING = 0, CLV_LOG_INFO = 1, CLV_LOG_DEBUG = 2 } clv_log_level;

typedef struct clv_context_opts {
    int threads;     /* 0: CLEAVE_NUM_THREADS, else the cores this process may use */
    const char *isa; /* NULL: CLEAVE_ISA, else the best; "ref", "avx2", "avx512", "neon" */

    /* One finished sentence without a newline. Called from the thread that called the library. May be NULL. */
    void (*log)(void *user, clv_log_level level, const char *message);

    /* done of total steps of `stage`; total 0 when unknown. Called at most some times a second, and once with
     * done == total when a stage ends. May be NULL. */
    void (*progress)(void *user, const char *stage, int64_t done, int64_t total);

    void *user; /* passed to log and progress */

    /* When this becomes non-zero (a signal handler may set it) long work stops at the next safe point with
     * CLV_ERR_INTERRUPTED. May be NULL. */
    const volatile sig_atomic_t *cancel;

    /* Processes that share the work of clv_train, clv_heal and clv_stats_collect (cleave/ranks.h); borrowed until the
     * context is freed. NULL: this process works alone. */
    struct clv_ranks *ranks;
} clv_context_opts;

/* All zero and NULL. Reentrant. */
CLV_API clv_context_opts clv_context_opts_default(void);

/* Gives *out (clv_context_free). CLV_ERR_ARG: bad thread count, or an ISA unknown or not on this machine.
 * Reentrant. One context serves one call at a time. */
CLV_API clv_status clv_context_create(clv_context **out, const clv_context_opts *opts, clv_error *err);

/* NULL-safe. */
CLV_API void clv_context_free(clv_context *context);

CLV_API int clv_context_threads(const clv_context *context);
CLV_API const char *clv_context_isa(const clv_context *context);

#ifdef __cplusplus
}
#endif
#endif
