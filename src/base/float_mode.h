/* SPDX-License-Identifier: Apache-2.0 */
/* How a thread's vector unit treats denormal numbers. A network whose activations fade away computes with them at a
 * hundredth of its speed, for digits below 1e-38 that nobody looks at. */
#ifndef CLVI_BASE_FLOAT_MODE_H
#define CLVI_BASE_FLOAT_MODE_H

#include <stdint.h>

typedef uint64_t clvi_float_mode; /* the control register: MXCSR on x86, FPCR on ARM; 0 elsewhere */

clvi_float_mode clvi_float_mode_get(void);
void clvi_float_mode_set(clvi_float_mode mode); /* of this thread; exceptions that were raised are kept */

/* The same with denormal results, and on x86 operands, taken as zero. */
clvi_float_mode clvi_float_mode_flushing(clvi_float_mode mode);

#endif
