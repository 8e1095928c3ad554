/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of one lane: the sum over its images, and the gradient of `scale` times that. */
#ifndef CLVI_TRAIN_LOSS_H
#define CLVI_TRAIN_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "train/loops.h"

/* T^2 KL(softmax(teacher / T) || softmax(student / T)), summed over rows of n classes. Hinton et al., arXiv 1503.02531:
 * T^2 keeps the gradient's size for any T. gradient may be NULL. *same counts rows where both choose the same class;
 * may be NULL. */
double clvi_loss_kl(float *gradient, const float *student, const float *teacher, size_t rows, size_t n,
                    double temperature, double scale, int64_t *same);

/* -sum q log softmax(x) with q = 1 - smoothing at the label and smoothing / n everywhere; *right counts rows whose
 * largest number is the label's; may be NULL. */
double clvi_loss_cross_entropy(float *gradient, const float *x, const int64_t *labels, size_t rows, size_t n,
                               double smoothing, double scale, int64_t *right);

/* Labels of mixed images: share of the first, the rest of the second; second NULL: all of the first. */
typedef struct clvi_labels {
    const int64_t *first, *second;
    const double *share;
} clvi_labels;

/* The same with q = (1 - smoothing) times the shares of the two; *right counts those of the first. */
double clvi_loss_mixed(float *gradient, const float *x, const clvi_labels *labels, size_t rows, size_t n,
                       double smoothing, double scale, int64_t *right);

/* |s - t|^2 / |t|^2 of count numbers; gradient may be NULL. */
double clvi_loss_relative(const clvi_loops *loops, float *gradient, const float *s, const float *t, size_t count,
                          double scale);

#endif
