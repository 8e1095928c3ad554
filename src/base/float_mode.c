/* SPDX-License-Identifier: Apache-2.0 */
#include "base/float_mode.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define RAISED       0x3fu /* flags of exceptions: state, not mode */
#define FLUSH_RESULT 0x8000u
#define FLUSH_INPUT  0x0040u

clvi_float_mode clvi_float_mode_get(void)
{
    return _mm_getcsr() & ~RAISED;
}

void clvi_float_mode_set(clvi_float_mode mode)
{
    const unsigned now = _mm_getcsr();
    if ((now & ~RAISED) != mode)
        _mm_setcsr((unsigned)mode | (now & RAISED));
}

clvi_float_mode clvi_float_mode_flushing(clvi_float_mode mode)
{
    return mode | FLUSH_RESULT | FLUSH_INPUT;
}

#elif defined(__aarch64__)

#define FLUSH ((clvi_float_mode)1 << 24)

clvi_float_mode clvi_float_mode_get(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

void clvi_float_mode_set(clvi_float_mode mode)
{
    if (clvi_float_mode_get() != mode)
        __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}

clvi_float_mode clvi_float_mode_flushing(clvi_float_mode mode)
{
    return mode | FLUSH;
}

#else

clvi_float_mode clvi_float_mode_get(void)
{
    return 0;
}

void clvi_float_mode_set(clvi_float_mode mode)
{
    (void)mode;
}

clvi_float_mode clvi_float_mode_flushing(clvi_float_mode mode)
{
    return mode;
}

#endif
