/* SPDX-License-Identifier: Apache-2.0 */
/* How well the rows of a classifier's output name their images. */
#ifndef CLVI_MEASURE_SCORE_H
#define CLVI_MEASURE_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "cleave/tensor.h"

typedef struct clvi_score {
    int64_t rows;              /* seen */
    int64_t labelled;          /* of them with a label */
    int64_t top1, top5;        /* of the labelled */
    int64_t non_finite;        /* rows with a NaN or Inf: they count as wrong and have no confidence */
    double confidence, square; /* sum over rows of the highest probability and of its square */
} clvi_score;

/* Whether `output`, for `rows` images, is a classifier's: [rows, classes >= 2], further dimensions being 1; the number
 * of classes, else 0. */
int64_t clvi_score_classes(const clv_tensor *output, int64_t rows);

/* Add one row of probabilities (none negative, sum 1 within 1e-3) or else of logits, whose softmax is taken. label < 0:
 * none. Returns the class of the highest value, the first of equals; -1 for a row that is not finite. */
int64_t clvi_score_add(clvi_score *score, const float *row, int64_t classes, int64_t label);

/* p[classes] of a finite row: the row itself when it holds probabilities, else its softmax. */
void clvi_score_probabilities(double *p, const float *row, int64_t classes);

/* Percent, and the standard error of a share: 100 sqrt(p (1 - p) / n). NaN for n = 0. */
double clvi_percent(int64_t part, int64_t n);
double clvi_percent_error(int64_t part, int64_t n);

#endif
