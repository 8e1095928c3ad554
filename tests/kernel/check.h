/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of kernels: guarded buffers, data, the error bound, and how a failure is told. */
#ifndef CLV_TESTS_KERNEL_CHECK_H
#define CLV_TESTS_KERNEL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define CHECK_SLOTS 4

/* One check of one kernel. Every case is described in `text` before the kernel runs, so a fault can print it. */
typedef struct check {
    const char *kernel;
    uint64_t seed;
    clvi_rng rng;
    size_t cases;
    bool failed;
} check;

void check_start(check *c, const char *kernel, uint64_t seed);

/* "name=value ..." of the next case. */
void check_case(check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints the case, the failure and the line that repeats it. */
void check_fail(check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* n floats in slot 0..CHECK_SLOTS-1, that end at (at_end) or begin after an inaccessible page; the other side has a
 * canary. Valid until the next use of the slot. */
float *check_buffer(int slot, size_t n, bool at_end);

/* The canaries of a slot are whole. */
bool check_canary(check *c, int slot);

/* Uniform [-1, 1); all equal; huge and tiny; signed zeros and ones; small integers. */
enum { CHECK_UNIFORM, CHECK_EQUAL, CHECK_MIXED, CHECK_ZEROS, CHECK_INTEGERS, CHECK_KINDS };
void check_fill(check *c, float *data, size_t n, int kind);

size_t check_random(check *c, size_t low, size_t high); /* uniform, both ends included */

/* |got - want| <= g * magnitude, g = (steps + 2) u / (1 - (steps + 2) u), u = 2^-24 (Higham 2002, 3.1): any order of
 * summation passes. Both NaN passes, one alone fails. */
bool check_near(float got, double want, double magnitude, size_t steps);

/* The kernel kinds. false: a failure was printed. */
bool check_gemm(const char *name, uint64_t seed, clvi_gemm_f32_fn run, size_t mr, size_t nr);
bool check_dwconv(const char *name, uint64_t seed, clvi_dwconv_f32_fn run);
bool check_im2col(const char *name, uint64_t seed, clvi_im2col_f32_fn run);
bool check_pixel_gemm(const char *name, uint64_t seed, clvi_pixel_gemm_f32_fn run, size_t mr, size_t nr);
bool check_dwrow(const char *name, uint64_t seed, clvi_dwrow_f32_fn run);
bool check_maxrows(const char *name, uint64_t seed, clvi_maxrows_f32_fn run);
bool check_winograd(const char *name, uint64_t seed, clvi_winograd_in_f32_fn in, clvi_winograd_out_f32_fn out);
bool check_act(const char *name, uint64_t seed, clvi_act_f32_fn run);

/* Broken kernels that must fail and odd ones that must pass. */
bool check_mutants(uint64_t seed);

/* Timings of every kernel up to a level. */
void check_bench(clvi_cpu level);

#endif
