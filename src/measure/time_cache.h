/* SPDX-License-Identifier: Apache-2.0 */
/* Measured times that outlive a run: a file of this user on this machine.
 *
 * $XDG_CACHE_HOME/cleave/times.clvtimes, or ~/.cache/cleave/times.clvtimes: records (base/records.h), one for each way
 * to run (processor, instruction set, threads, version, what may be fused), each with the times by their keys. A file
 * that is damaged, of another version or that cannot be written costs a warning and the time of measuring again. */
#ifndef CLVI_MEASURE_TIME_CACHE_H
#define CLVI_MEASURE_TIME_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/context.h"

typedef struct clvi_time_cache clvi_time_cache;

/* The times that were measured as this context runs. Gives *out (clvi_time_cache_free); CLV_ERR_NOMEM alone. */
clv_status clvi_time_cache_open(clvi_time_cache **out, clv_context *context, clv_error *err);
void clvi_time_cache_free(clvi_time_cache *cache); /* NULL-safe */

/* The seconds under a key (clvi_hash of whatever decides them); false: not measured yet. */
bool clvi_time_cache_find(const clvi_time_cache *cache, uint64_t key, double *seconds);

/* Keep a time, in the place of an older one under this key. CLV_ERR_NOMEM. */
clv_status clvi_time_cache_add(clvi_time_cache *cache, uint64_t key, double seconds, clv_error *err);

/* Into the file, whole or not at all, together with what other ways to run and other processes have put there. Failure
 * is a warning of the context. */
void clvi_time_cache_save(clvi_time_cache *cache);

#endif
