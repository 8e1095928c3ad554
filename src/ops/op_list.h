/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator the library runs, one row each: OP(symbol of its const clvi_op). Included by op.c alone. */
/* No include guard: it is included once for each thing that is made of the list. */

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

/* switched on by src/ops/CMakeLists.txt once the file exists */
#ifdef CLVI_OPS_CONV
OP(clvi_op_conv)
#endif
#ifdef CLVI_OPS_CONV_TRANSPOSE
OP(clvi_op_conv_transpose)
#endif
#ifdef CLVI_OPS_GEMM
OP(clvi_op_gemm)
#endif
#ifdef CLVI_OPS_MATMUL
OP(clvi_op_matmul)
#endif
