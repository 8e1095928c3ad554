/* SPDX-License-Identifier: Apache-2.0 */
/* Where each activation lives in one block, from when it is alive. */
#ifndef CLVI_RUNTIME_MEMORY_PLAN_H
#define CLVI_RUNTIME_MEMORY_PLAN_H

#include <stddef.h>

#include "base/status.h"

/* A buffer that is alive during the steps first .. last, both inclusive. */
typedef struct clvi_interval {
    size_t bytes;
    size_t first, last;
    size_t offset; /* set by clvi_memory_plan: a multiple of CLV_ALIGN */
} clvi_interval;

/* Place n buffers so that two that are alive at the same time do not overlap: largest first, each in the lowest gap
 * that fits. *total is the size of the block that holds them all. O(n^2) in the worst case. Reentrant. */
clv_status clvi_memory_plan(clvi_interval *items, size_t n, size_t *total, clv_error *err);

#endif
