/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks tell each other. Every rank calls the same functions in the same order; each returns when this rank's part
 * is done. NULL stands for a process alone, number 0 of 1: then there is nothing to do, and CLV_OK.
 *
 * CLV_ERR_IO: MPI failed, or the job is being ended and a rank does not answer; clvi_ranks_lost is true from then on,
 * and the ranks cannot be used any more. */
#ifndef CLVI_RANKS_RANKS_H
#define CLVI_RANKS_RANKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "cleave/ranks.h"

/* data[count][bytes], part `number` filled here: afterwards all of it, everywhere. */
clv_status clvi_ranks_gather(clv_ranks *ranks, void *data, size_t bytes, clv_error *err);

/* from[count][bytes]: part k goes to rank k; to[count][bytes]: part k came from rank k. */
clv_status clvi_ranks_exchange(clv_ranks *ranks, const void *from, void *to, size_t bytes, clv_error *err);

/* What rank `from` has becomes what all have. */
clv_status clvi_ranks_share(clv_ranks *ranks, void *data, size_t bytes, int from, clv_error *err);

/* From one rank to another, which receives it. */
clv_status clvi_ranks_send(clv_ranks *ranks, const void *data, size_t bytes, int to, clv_error *err);
clv_status clvi_ranks_receive(clv_ranks *ranks, void *data, size_t bytes, int from, clv_error *err);

/* CLV_ERR_DATA on every rank when one has another number; `what` is that "rank 2 has other ...". */
clv_status clvi_ranks_agree(clv_ranks *ranks, uint64_t number, const char *what, clv_error *err);

bool clvi_ranks_lost(const clv_ranks *ranks);

/* Into how many equal lanes a batch is cut: `usual` where the ranks can share them evenly, so that the sums are the
 * same bits for any number of ranks; else one for each rank. */
int64_t clvi_ranks_lanes(const clv_ranks *ranks, int64_t usual);

#endif
