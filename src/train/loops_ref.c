/* SPDX-License-Identifier: Apache-2.0 */
#define TABLE clvi_loops_ref
#include "train/loops.inc"
