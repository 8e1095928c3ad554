/* SPDX-License-Identifier: Apache-2.0 */
/* Which values of a graph do not depend on its symbolic dimensions: shapes under several bindings, compared. */
#ifndef CLVI_RUNTIME_PASS_EVIDENCE_H
#define CLVI_RUNTIME_PASS_EVIDENCE_H

#include "runtime/session.h"

#define CLVI_BINDINGS 3

typedef struct clvi_evidence {
    clvi_shapes shapes[CLVI_BINDINGS];
    size_t n; /* bindings that worked; 1 when nothing is symbolic or no binding works (inputs are then unknown) */
    size_t n_values;
    bool *fixed;   /* [n_values] the data are known and the same whatever the symbols are */
    bool *trusted; /* [n_values] equality under all bindings is evidence: nothing on the way clamps or compares */
    bool *narrow;  /* [n_values] made from float16, bfloat16 or float64 data, which were computed with as float32 */
} clvi_evidence;

/* Gives *out (clvi_evidence_free). CLV_ERR_FORMAT: a node is malformed whatever the symbols are. */
clv_status clvi_evidence_gather(clvi_evidence *out, const clvi_graph *graph, clv_error *err);
void clvi_evidence_free(clvi_evidence *evidence);

#endif
