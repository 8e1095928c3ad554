/* SPDX-License-Identifier: Apache-2.0 */
/* The size of a network, as reports name it. */
#ifndef CLVI_MEASURE_MODEL_FACTS_H
#define CLVI_MEASURE_MODEL_FACTS_H

#include "graph/graph.h"
#include "report/report.h"
#include "runtime/count.h"

/* "macs", "parameters", "weight_bytes". */
void clvi_report_count(clvi_item *item, const clvi_count *count);

#define CLVI_ORIGINAL_KEY "cleave.original" /* in a compressed model's metadata: the size that it had before */
#define CLVI_COUNT_TEXT   128

/* A size as one line of text, and back; false when the text is no such line. */
void clvi_count_format(const clvi_count *count, char text[CLVI_COUNT_TEXT]);
bool clvi_count_parse(clvi_count *out, const char *text);

/* Floating-point elements among the constants that a node reads; constants that others read too count each time. */
int64_t clvi_node_parameters(const clvi_graph *graph, const clvi_node *node);

#endif
