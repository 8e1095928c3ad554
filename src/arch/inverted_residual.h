/* SPDX-License-Identifier: Apache-2.0 */
/* The block of MobileNetV2, MNASNet and EfficientNet: expand, filter in depth, weigh the channels, project, add. */
#ifndef CLVI_ARCH_INVERTED_RESIDUAL_H
#define CLVI_ARCH_INVERTED_RESIDUAL_H

#include "arch/net.h"

typedef struct clvi_inverted {
    int64_t expansion; /* 1: no first convolution */
    int64_t kernel, stride, out;
    int64_t squeeze; /* channels inside squeeze-and-excitation; 0: none */
    clvi_net_activation activation;
} clvi_inverted;

/* The shortcut is there when input and output have the same shape. */
clvi_map clvi_net_inverted_residual(clvi_net *net, clvi_map x, const char *path, clvi_inverted block);

/* A run of `count` blocks stage<number>.block1 ..., of which the first has the stride. squeeze: 0, or one n-th of each
 * block's input channels. */
typedef struct clvi_inverted_stage {
    int64_t expansion, kernel, stride, out, squeeze;
    int count;
} clvi_inverted_stage;

clvi_map clvi_net_inverted_stage(clvi_net *net, clvi_map x, int number, const clvi_inverted_stage *stage,
                                 clvi_net_activation activation);

#endif
