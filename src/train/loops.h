/* SPDX-License-Identifier: Apache-2.0 */
/* The memory-bound loops of training, compiled once for each instruction set from one body (loops.inc): the same bits
 * from all of them, as nothing is contracted or reordered. */
#ifndef CLVI_TRAIN_LOOPS_H
#define CLVI_TRAIN_LOOPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"

typedef struct clvi_adam_step {
    float rate, beta1, beta2, eps, decay; /* decay: rate * weight decay, decoupled */
    float fix1, fix2;                     /* 1 / (1 - beta^t) */
    float scale;                          /* of the gradient: clipping */
} clvi_adam_step;

typedef struct clvi_loops {
    void (*relu)(float *y, const float *x, size_t n);
    /* dx (+)= dy where y > 0 */
    void (*relu_back)(float *dx, const float *dy, const float *y, size_t n, bool add);
    void (*add)(float *y, const float *a, const float *b, size_t n); /* y = a + b; y may be a */
    void (*accumulate)(float *y, const float *x, size_t n);          /* y += x */
    void (*axpy)(float *y, float a, const float *x, size_t n);       /* y += a x */
    /* [rows, c]: sum and square sum of each channel, added to double s[c], q[c] */
    void (*moments)(double *s, double *q, const float *x, size_t rows, size_t c);
    /* y = x * a[c] + b[c] */
    void (*affine)(float *y, const float *x, const float *a, const float *b, size_t rows, size_t c);
    /* s += sum dy; q += sum dy * (x - mean) * inv */
    void (*norm_sums)(double *s, double *q, const float *dy, const float *x, const float *mean, const float *inv,
                      size_t rows, size_t c);
    /* dx (+)= a[c] * dy + b[c] * x + d[c] */
    void (*norm_back)(float *dx, const float *dy, const float *x, const float *const abd[3], size_t rows, size_t c,
                      bool add);
    void (*adam)(float *w, float *m, float *v, const float *g, size_t n, const clvi_adam_step *step);
    /* g = scale g + decay w; v = momentum v + g; w -= rate (g + momentum v) */
    void (*nesterov)(float *w, float *v, const float *g, size_t n, float rate, float momentum, float decay,
                     float scale);
    /* sum (a - b)^2 and sum b^2, 16 partial sums each */
    void (*compare)(double out[2], const float *a, const float *b, size_t n);
    /* y = f (a - b) */
    void (*difference)(float *y, const float *a, const float *b, float f, size_t n);
    double (*distance)(const float *a, const float *b, size_t n); /* sum (a - b)^2, 16 partial sums */
} clvi_loops;

const clvi_loops *clvi_loops_for(clvi_cpu level);

extern const clvi_loops clvi_loops_ref, clvi_loops_avx2, clvi_loops_avx512;

#endif
