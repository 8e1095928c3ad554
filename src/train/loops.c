/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loops.h"

const clvi_loops *clvi_loops_for(clvi_cpu level)
{
#if defined(__x86_64__)
    if (level == CLVI_CPU_AVX512)
        return &clvi_loops_avx512;
    if (level == CLVI_CPU_AVX2)
        return &clvi_loops_avx2;
#else
    (void)level;
#endif
    return &clvi_loops_ref;
}
