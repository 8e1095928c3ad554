/* SPDX-License-Identifier: Apache-2.0 */
#define TABLE clvi_loops_avx512
#include "train/loops.inc"
