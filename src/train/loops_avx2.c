/* SPDX-License-Identifier: Apache-2.0 */
#define TABLE clvi_loops_avx2
#include "train/loops.inc"
