/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/score.h"

#include <math.h>

int64_t clvi_score_classes(const clv_tensor *output, int64_t rows)
{
    if (output->dtype != CLV_FLOAT32 || output->rank < 2 || output->dims[0] != rows || output->dims[1] < 2)
        return 0;
    for (int d = 2; d < output->rank; d++)
        if (output->dims[d] != 1)
            return 0;
    return output->dims[1];
}

static bool is_finite_row(const float *row, int64_t classes)
{
    for (int64_t k = 0; k < classes; k++)
        if (!isfinite(row[k]))
            return false;
    return true;
}

/* What maps a row to probabilities: p_k = row_k, or exp(row_k - shift) / sum. */
typedef struct mapping {
    bool softmax;
    double shift, sum;
} mapping;

static mapping find_mapping(const float *row, int64_t classes)
{
    double sum = 0, low = (double)row[0], high = (double)row[0];
    for (int64_t k = 0; k < classes; k++) {
        sum += (double)row[k];
        low = fmin(low, (double)row[k]);
        high = fmax(high, (double)row[k]);
    }
    if (low >= 0 && fabs(sum - 1) < 1e-3)
        return (mapping){0};
    mapping m = {.softmax = true, .shift = high};
    for (int64_t k = 0; k < classes; k++)
        m.sum += exp((double)row[k] - high);
    return m;
}

static double probability(const mapping *m, float x)
{
    return m->softmax ? exp((double)x - m->shift) / m->sum : (double)x;
}

void clvi_score_probabilities(double *p, const float *row, int64_t classes)
{
    const mapping m = find_mapping(row, classes);
    for (int64_t k = 0; k < classes; k++)
        p[k] = probability(&m, row[k]);
}

int64_t clvi_score_add(clvi_score *score, const float *row, int64_t classes, int64_t label)
{
    score->rows++;
    score->labelled += label >= 0;
    if (!is_finite_row(row, classes)) {
        score->non_finite++;
        return -1;
    }
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++)
        if (row[k] > row[best])
            best = k;
    const mapping m = find_mapping(row, classes);
    const double p = probability(&m, row[best]);
    score->confidence += p;
    score->square += p * p;
    if (label >= 0 && label < classes) {
        int64_t before = 0; /* classes that stand before the label, the first of equals standing first */
        for (int64_t k = 0; k < classes; k++)
            before += row[k] > row[label] || (row[k] == row[label] && k < label);
        score->top1 += before == 0;
        score->top5 += before < 5;
    }
    return best;
}

double clvi_percent(int64_t part, int64_t n)
{
    return n > 0 ? 100.0 * (double)part / (double)n : (double)NAN;
}

double clvi_percent_error(int64_t part, int64_t n)
{
    const double p = n > 0 ? (double)part / (double)n : (double)NAN;
    return 100.0 * sqrt(p * (1 - p) / (double)n);
}
