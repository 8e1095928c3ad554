/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time goes: what BLAS and LAPACK have worked since the process began, over all threads. Reentrant. */
#ifndef CLVI_BASE_WORK_H
#define CLVI_BASE_WORK_H

#include <stdint.h>

typedef enum clvi_work {
    CLVI_WORK_PRODUCTS = 0, /* GEMM, SYRK and triangular solves */
    CLVI_WORK_FACTORS = 1,  /* Cholesky, eigenvalues, singular values */
    CLVI_WORK_KINDS = 2,
} clvi_work;

/* Seconds of threads; a thread that has to wait for a processor counts too. */
double clvi_work_seconds(clvi_work kind);
double clvi_work_flops(clvi_work kind); /* multiply-adds count two; 0 for factors */

/* Around each piece of work: start = clvi_work_start(); ...; clvi_work_add(kind, start, multiply-adds). */
uint64_t clvi_work_start(void);
void clvi_work_add(clvi_work kind, uint64_t start, double macs);

#endif
