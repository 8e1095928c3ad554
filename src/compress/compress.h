/* SPDX-License-Identifier: Apache-2.0 */
/* The main job on a graph; clv_compress (include/cleave/compress.h) is its public face. */
#ifndef CLVI_COMPRESS_COMPRESS_H
#define CLVI_COMPRESS_COMPRESS_H

#include "cleave/compress.h"
#include "graph/graph.h"

/* Gives *out, the compressed copy of `graph` (clvi_graph_free); the rest as clv_compress. */
clv_status clvi_compress(clvi_graph **out, const clvi_graph *graph, clv_dataset *calibration,
                         const clv_preprocess *preprocess, const clv_compress_opts *opts, clv_context *context,
                         clv_report *report, clv_error *err);

#endif
