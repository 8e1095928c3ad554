/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/model_facts.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"

void clvi_report_count(clvi_item *item, const clvi_count *count)
{
    clvi_report_int(item, "macs", count->macs);
    clvi_report_int(item, "parameters", count->parameters);
    clvi_report_int(item, "weight_bytes", count->bytes);
}

static int64_t floating_elements(const clvi_value *v)
{
    const clv_tensor *t = v->constant;
    const bool floating = t && (t->dtype == CLV_FLOAT32 || t->dtype == CLV_FLOAT16 || t->dtype == CLV_FLOAT64 ||
                                t->dtype == CLV_BFLOAT16);
    const int64_t n = floating ? clv_tensor_count(t) : 0;
    return n > 0 ? n : 0;
}

void clvi_count_format(const clvi_count *count, char text[CLVI_COUNT_TEXT])
{
    (void)snprintf(text, CLVI_COUNT_TEXT, "macs=%" PRId64 " parameters=%" PRId64 " weight_bytes=%" PRId64, count->macs,
                   count->parameters, count->bytes);
}

bool clvi_count_parse(clvi_count *out, const char *text)
{
    return sscanf(text, "macs=%" SCNd64 " parameters=%" SCNd64 " weight_bytes=%" SCNd64, &out->macs, &out->parameters,
                  &out->bytes) == 3;
}

int64_t clvi_node_parameters(const clvi_graph *graph, const clvi_node *node)
{
    int64_t sum = 0;
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i] != CLVI_NONE && !clvi_add_i64(sum, floating_elements(&graph->values[node->in[i]]), &sum))
            return INT64_MAX;
    return sum;
}
