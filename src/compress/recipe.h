/* SPDX-License-Identifier: Apache-2.0 */
/* What a run decided and why, as JSON: written by every run, and enough to repeat it without a search.
 *
 *   { "cleave_recipe": 1, "model": "<hash>", "options": { "method": ..., "samples": ..., ... }, "budget": "macs=30%",
 *     "latency": { "before_ms", "target_ms", "predicted_ms", "planned_ms", "after_ms" },
 *     "layers": [ { "layer": name, "form": "bottleneck" | "kept" | ..., "multiplier" or "size", "uneven",
 *                   "predicted_error", "error", "macs_before", "macs_after", "parameters_after", "why",
 *                   "runners_up": [ { "form", "size", "error", "macs" } ... ] } ... ] } */
#ifndef CLVI_COMPRESS_RECIPE_H
#define CLVI_COMPRESS_RECIPE_H

#include "cleave/compress.h"
#include "compress/candidates.h"
#include "compress/latency.h"

/* What a recipe says of one layer, and what a replay needs: the first four. */
typedef struct clvi_recipe_layer {
    const char *layer;
    clvi_candidate chosen; /* form NULL: kept */
    const char *why;       /* kept: the reason */
    double error;          /* of the fit; NAN: kept */
    int64_t macs_before, macs_after, parameters_after;
    const clvi_candidates *list; /* what it was chosen from, for the runners-up; NULL: nothing */
    int64_t pixels;
} clvi_recipe_layer;

typedef struct clvi_recipe {
    const clv_compress_opts *opts; /* those that decide the result are written */
    uint64_t model;                /* clvi_graph_hash */
    const clvi_recipe_layer *layer;
    size_t n;
    const clvi_latency_figures *latency; /* NULL: nothing was timed */
} clvi_recipe;

/* brief: without runners-up, costs and times, as it goes into a model's metadata. Gives *text (free with clvi_free). */
clv_status clvi_recipe_write(char **text, const clvi_recipe *recipe, bool brief, clv_error *err);

/* A recipe as read. */
typedef struct clvi_recipe_plan {
    clvi_arena *arena;
    clv_compress_opts opts; /* as given to the read, with what the recipe says put in; texts live in arena */
    uint64_t model;
    clvi_recipe_layer *layer; /* [n] layer, chosen, why */
    size_t n;
} clvi_recipe_plan;

/* opts: the caller's, for what a recipe does not say. CLV_ERR_FORMAT: no recipe of this version; the message says
 * where. Gives *out (clvi_recipe_plan_free). */
clv_status clvi_recipe_read(clvi_recipe_plan *out, const char *text, size_t size, const clv_compress_opts *opts,
                            clv_error *err);
void clvi_recipe_plan_free(clvi_recipe_plan *plan); /* an empty one is fine */

#endif
