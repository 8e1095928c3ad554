/* SPDX-License-Identifier: Apache-2.0 */
/* What every long-running function is given: threads, CPU level, log, progress, cancellation. */
#ifndef CLVI_BASE_CONTEXT_H
#define CLVI_BASE_CONTEXT_H

#include <stdbool.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "cleave/context.h"

struct clv_context {
    clv_context_opts opts;
    clvi_pool *pool;
    clvi_cpu cpu;
    double last_progress; /* seconds, CLOCK_MONOTONIC */
};

void clvi_log(clv_context *context, clv_log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Report progress; the call is cheap and rate-limited, the last step of a stage is always reported. */
void clvi_progress(clv_context *context, const char *stage, int64_t done, int64_t total);

/* CLV_ERR_INTERRUPTED once cancellation was asked for. */
clv_status clvi_check_cancel(const clv_context *context, clv_error *err);

double clvi_now(void);         /* seconds, monotonic */
double clvi_cpu_seconds(void); /* that all threads of the process have computed; 0: not known */

#endif
