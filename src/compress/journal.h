/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of the main job has finished so far, on disk, so that a killed run can go on and give the same bytes.
 *
 * A file of records (base/records.h) that only grows; each record is flushed to disk before the run goes on. A record
 * that was cut off is forgotten when the run resumes. Without a path all calls do nothing. */
#ifndef CLVI_COMPRESS_JOURNAL_H
#define CLVI_COMPRESS_JOURNAL_H

#include "base/records.h"
#include "compress/candidates.h"
#include "compress/latency.h"
#include "decompose/form.h"

typedef struct clvi_journal {
    int fd; /* -1: none */
    const char *path;
    clvi_records records; /* as they were found */
} clvi_journal;

/* path NULL: none. run: hash of everything that decides the result. resume: go on with what the file holds, which
 * CLV_ERR_ARG refuses when it belongs to another run; a missing file is an empty one. Else the file starts anew. path
 * is borrowed. Gives *out (clvi_journal_close). */
clv_status clvi_journal_open(clvi_journal *out, const char *path, uint64_t run, bool resume, clv_error *err);
void clvi_journal_close(clvi_journal *j); /* an empty one is fine */

/* Candidates of all n sites, in one record. */
clv_status clvi_journal_add_candidates(clvi_journal *j, const clvi_candidates *lists, size_t n, clv_error *err);
clv_status clvi_journal_candidates(bool *found, clvi_candidates *lists, size_t n, const clvi_journal *j,
                                   clv_error *err);

/* Which candidate each of n sites gets, and what was measured for it: times would not be the same again. */
clv_status clvi_journal_add_choice(clvi_journal *j, const size_t *chosen, const clvi_latency_figures *figures, size_t n,
                                   clv_error *err);
clv_status clvi_journal_choice(bool *found, size_t *chosen, clvi_latency_figures *figures, const clvi_candidates *lists,
                               size_t n, const clvi_journal *j, clv_error *err);

/* A finished fit of one site. Weights of a chain that is read live in arena. */
clv_status clvi_journal_add_fit(clvi_journal *j, size_t site, const clvi_fit *fit, clv_error *err);
clv_status clvi_journal_fit(bool *found, clvi_fit *fit, const clvi_journal *j, size_t site, clvi_arena *arena,
                            clv_error *err);

#endif
