/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator that can be trained through, one row each: GRADIENT(symbol of its const clvi_gradient). No include
 * guard: gradient.c includes it once for each thing that is made of the list. */

/* grad_conv.c */
GRADIENT(clvi_gradient_conv)

/* grad_norm.c */
GRADIENT(clvi_gradient_batch_normalization)

/* grad_unary.c */
GRADIENT(clvi_gradient_relu)
GRADIENT(clvi_gradient_clip)
GRADIENT(clvi_gradient_leaky_relu)
GRADIENT(clvi_gradient_sigmoid)
GRADIENT(clvi_gradient_hard_sigmoid)
GRADIENT(clvi_gradient_hard_swish)
GRADIENT(clvi_gradient_tanh)
GRADIENT(clvi_gradient_exp)

/* grad_binary.c */
GRADIENT(clvi_gradient_add)
GRADIENT(clvi_gradient_sub)
GRADIENT(clvi_gradient_mul)
GRADIENT(clvi_gradient_div)
GRADIENT(clvi_gradient_prelu)

/* grad_move.c */
GRADIENT(clvi_gradient_concat)
GRADIENT(clvi_gradient_split)
GRADIENT(clvi_gradient_slice)
GRADIENT(clvi_gradient_pad)
GRADIENT(clvi_gradient_gather)
GRADIENT(clvi_gradient_transpose)
GRADIENT(clvi_gradient_reshape)
GRADIENT(clvi_gradient_flatten)
GRADIENT(clvi_gradient_squeeze)
GRADIENT(clvi_gradient_unsqueeze)
GRADIENT(clvi_gradient_identity)
GRADIENT(clvi_gradient_dropout)
GRADIENT(clvi_gradient_depth_to_space)
GRADIENT(clvi_gradient_space_to_depth)

/* grad_pool.c */
GRADIENT(clvi_gradient_max_pool)
GRADIENT(clvi_gradient_average_pool)

/* grad_mean.c */
GRADIENT(clvi_gradient_global_average_pool)
GRADIENT(clvi_gradient_reduce_mean)

/* grad_matmul.c */
GRADIENT(clvi_gradient_gemm)
GRADIENT(clvi_gradient_matmul)

/* grad_softmax.c */
GRADIENT(clvi_gradient_softmax)
