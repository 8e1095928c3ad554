/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator the library runs, one row each: OP(symbol of its const clvi_op), file by file. No include guard: op.c
 * includes it once for each thing that is made of the list. */

/* binary.c */
OP(clvi_op_add)
OP(clvi_op_sub)
OP(clvi_op_mul)
OP(clvi_op_div)
OP(clvi_op_mod)
OP(clvi_op_equal)
OP(clvi_op_less)
OP(clvi_op_less_or_equal)
OP(clvi_op_greater)
OP(clvi_op_greater_or_equal)
OP(clvi_op_and)
OP(clvi_op_or)
OP(clvi_op_xor)
OP(clvi_op_sum)
OP(clvi_op_mean)
OP(clvi_op_min)
OP(clvi_op_max)

/* cast.c */
OP(clvi_op_cast)
OP(clvi_op_cast_like)

/* concat.c */
OP(clvi_op_concat)
OP(clvi_op_split)

/* constant.c */
OP(clvi_op_constant)
OP(clvi_op_constant_of_shape)
OP(clvi_op_shape)
OP(clvi_op_size)
OP(clvi_op_range)

/* conv.c */
OP(clvi_op_conv)

/* conv_transpose.c */
OP(clvi_op_conv_transpose)

/* elementwise.c */
OP(clvi_op_clip)
OP(clvi_op_prelu)
OP(clvi_op_pow)
OP(clvi_op_not)
OP(clvi_op_where)

/* expand.c */
OP(clvi_op_expand)
OP(clvi_op_tile)

/* gather.c */
OP(clvi_op_gather)
OP(clvi_op_gather_elements)
OP(clvi_op_gather_nd)

/* gemm.c */
OP(clvi_op_gemm)

/* matmul.c */
OP(clvi_op_matmul)

/* normalise.c */
OP(clvi_op_batch_normalization)
OP(clvi_op_instance_normalization)
OP(clvi_op_lrn)

/* pad.c */
OP(clvi_op_pad)

/* pooling.c */
OP(clvi_op_max_pool)
OP(clvi_op_average_pool)
OP(clvi_op_lp_pool)
OP(clvi_op_global_average_pool)
OP(clvi_op_global_max_pool)
OP(clvi_op_global_lp_pool)

/* reduce.c */
OP(clvi_op_reduce_sum)
OP(clvi_op_reduce_mean)
OP(clvi_op_reduce_max)
OP(clvi_op_reduce_min)
OP(clvi_op_reduce_prod)
OP(clvi_op_reduce_l1)
OP(clvi_op_reduce_l2)
OP(clvi_op_reduce_log_sum)
OP(clvi_op_reduce_log_sum_exp)
OP(clvi_op_reduce_sum_square)

/* reshape.c */
OP(clvi_op_reshape)
OP(clvi_op_flatten)
OP(clvi_op_squeeze)
OP(clvi_op_unsqueeze)
OP(clvi_op_identity)
OP(clvi_op_dropout)

/* resize.c */
OP(clvi_op_resize)
OP(clvi_op_upsample)

/* select.c */
OP(clvi_op_arg_max)
OP(clvi_op_arg_min)
OP(clvi_op_top_k)
OP(clvi_op_cum_sum)

/* slice.c */
OP(clvi_op_slice)

/* softmax.c */
OP(clvi_op_softmax)
OP(clvi_op_log_softmax)
OP(clvi_op_hardmax)

/* transpose.c */
OP(clvi_op_transpose)
OP(clvi_op_depth_to_space)
OP(clvi_op_space_to_depth)

/* unary.c */
OP(clvi_op_relu)
OP(clvi_op_leaky_relu)
OP(clvi_op_thresholded_relu)
OP(clvi_op_elu)
OP(clvi_op_celu)
OP(clvi_op_selu)
OP(clvi_op_sigmoid)
OP(clvi_op_hard_sigmoid)
OP(clvi_op_hard_swish)
OP(clvi_op_tanh)
OP(clvi_op_softplus)
OP(clvi_op_softsign)
OP(clvi_op_mish)
OP(clvi_op_erf)
OP(clvi_op_gelu)
OP(clvi_op_exp)
OP(clvi_op_log)
OP(clvi_op_sqrt)
OP(clvi_op_reciprocal)
OP(clvi_op_neg)
OP(clvi_op_abs)
OP(clvi_op_sign)
OP(clvi_op_floor)
OP(clvi_op_ceil)
OP(clvi_op_round)
OP(clvi_op_sin)
OP(clvi_op_cos)
