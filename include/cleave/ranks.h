/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes that share one job: `mpirun -n 4 cleave train ...`. Each is a rank of an MPI job.
 *
 *     clv_ranks *ranks;
 *     clv_ranks_join(&ranks, NULL, &err);          (alone: ranks is NULL, and nothing is loaded)
 *     opts.ranks = ranks;                          (clv_context_opts)
 *     ... clv_train, clv_heal, clv_stats_collect: every rank calls them with the same arguments ...
 *     clv_ranks_settle(ranks, status);
 *     clv_ranks_leave(ranks);
 *
 * Files are written by rank 0 alone. All functions: one process joins once; from the thread that joined. */
#ifndef CLEAVE_RANKS_H
#define CLEAVE_RANKS_H

#include <signal.h>
#include <stdbool.h>

#include "cleave/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_ranks clv_ranks;

/* How many processes the environment says were started together (Open MPI, MPICH, PMIx); 1: this one alone. Costs
 * nothing. */
CLV_API int clv_ranks_started(void);

/* Give *out (clv_ranks_leave), or NULL when the process was started alone. Loads MPI.
 *
 * cancel  borrowed until the end, may be NULL: as in clv_context_opts. mpirun sets it off by a signal when it ends the
 *         job, also because a rank was lost; then nobody waits for ranks that do not answer.
 *
 * CLV_ERR_UNSUP  built without MPI, or libcleave-mpi.so does not load
 * CLV_ERR_IO     MPI failed */
CLV_API clv_status clv_ranks_join(clv_ranks **out, const volatile sig_atomic_t *cancel, clv_error *err);

CLV_API int clv_ranks_number(const clv_ranks *ranks); /* from 0; NULL: 0 */
CLV_API int clv_ranks_count(const clv_ranks *ranks);  /* NULL: 1 */

/* Threads that each rank should work with, so that those on one machine share its cores. */
CLV_API int clv_ranks_threads(const clv_ranks *ranks);

/* Tell the others how this rank ended, and wait for them (after a failure: two seconds). True for the one that should
 * report: rank 0, or the first that failed, or any whose others did not answer. NULL: true. */
CLV_API bool clv_ranks_settle(clv_ranks *ranks, clv_status status);

/* End MPI; NULL-safe. When the ranks did not all settle, this ends all of them, and does not return. */
CLV_API void clv_ranks_leave(clv_ranks *ranks);

#ifdef __cplusplus
}
#endif
#endif
