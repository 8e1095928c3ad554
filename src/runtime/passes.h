/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites that need to know shapes or values: folding of constants and of BatchNorm, channels that nobody reads,
 * convolutions that make a constant. All end with clvi_pass_dead_code.
 *
 * Each works on a copy and takes the graph's place only when it succeeded, so a pass never half-applies. Value ids and
 * the names of what stays are kept; pointers into the graph (nodes, tensors, names) that were taken before are invalid
 * after CLV_OK. */
#ifndef CLVI_RUNTIME_PASSES_H
#define CLVI_RUNTIME_PASSES_H

#include "graph/graph.h"

/* Nodes whose result does not depend on any input, nor on a symbolic dimension, become initializers under the name of
 * their result; Constant nodes too. Identity and inference-time Dropout go. The target shape of a Reshape that copies
 * input dimensions is written with 0 and -1 instead of being computed from Shape. A result larger than 64 KB and larger
 * than what it is made from stays computed, and so does what is computed from float16, bfloat16 or float64 (folding is
 * done in float32).
 *
 * Independence of symbolic dimensions is decided by evidence: shapes are inferred under several bindings of all symbols
 * to different numbers, and a value counts as fixed when it agrees in all of them and only operators that cannot clamp,
 * compare or round made it (so min(h, 1000) is not mistaken for h-independent). */
clv_status clvi_pass_fold_constants(clvi_graph *graph, clv_error *err);

/* A BatchNormalization that alone reads the result of a Conv, ConvTranspose or Gemm with constant weights goes into the
 * weights:  w' = w s,  b' = (b - mean) s + beta,  s = gamma / sqrt(var + eps) per output channel, in float64, rounded
 * to the weights' type. The node takes over the BatchNorm's output. Weights that others use too are copied. What does
 * not fit (another reader, a graph output between, values not constant, results not finite) stays as it is. */
clv_status clvi_pass_fold_batchnorm(clvi_graph *graph, clv_error *err);

/* Channels that no reader wants are not computed: where all that is read of a value passes through Gathers along axis 1
 * with constant lists, what makes the value makes only what they take. Upwards through elementwise operators (with
 * their constants for each channel: PRelu, BatchNormalization), pooling, sums and concatenations, into Conv,
 * ConvTranspose and depthwise Conv with constant weights; a depthwise Conv whose input keeps more channels gets a
 * Gather before it. A Gather that has nothing left to do goes. One that repeats channels stays, over a smaller input:
 * computing a channel twice costs more than copying it. Grouped convolutions, graph outputs and operators that may look
 * at every channel need all of theirs. The results are those of before within rounding. */
clv_status clvi_pass_prune_channels(clvi_graph *graph, clv_error *err);

/* A Conv whose weights are all zero makes its bias at every pixel. Where its result goes only into Adds whose other
 * operand is computed and has its shape, under every binding of symbolic dimensions, the Adds get the bias itself,
 * [1, O, 1, ...]. A NaN or infinity in the Conv's input then no longer reaches the sum. */
clv_status clvi_pass_absorb_constants(clvi_graph *graph, clv_error *err);

#endif
