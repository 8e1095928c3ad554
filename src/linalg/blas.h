/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenBLAS must be told before it works for us. */
#ifndef CLVI_LINALG_BLAS_H
#define CLVI_LINALG_BLAS_H

/* One thread (ours are the pool's), and kernels for this machine: an OpenBLAS that is older than the processor takes it
 * for a Pentium 4, whose kernels are 2 to 3 times slower (docs/perf.md). The choice is made once, at the first call.
 * OPENBLAS_CORETYPE, where the user has set it, stands. Reentrant. */
void clvi_blas_prepare(void);

#endif
