/* SPDX-License-Identifier: Apache-2.0 */
/* The networks that cleave can make: one file a family, one list. */
#ifndef CLVI_ARCH_ARCH_H
#define CLVI_ARCH_ARCH_H

#include "arch/net.h"
#include "cleave/arch.h"

typedef struct clvi_arch {
    clv_arch_info info;
    int variant;
    bool scales; /* takes a width */
    clvi_map (*build)(clvi_net *net, clvi_map x, int variant);
} clvi_arch;

clv_arch_opts clvi_arch_opts_default(void);

const clvi_arch *clvi_arch_all(size_t *n);

/* Gives *out (clvi_graph_free). Errors as clv_arch_build. *row: its line of the list; may be NULL. */
clv_status clvi_arch_build(clvi_graph **out, const char *name, const clv_arch_opts *opts, const clvi_arch **row,
                           clv_error *err);

enum { CLVI_VGG_PLAIN, CLVI_VGG_BATCHNORM, CLVI_VGG_FEATURES };

/* From the input x to the output: the families. */
clvi_map clvi_arch_cifar_resnet(clvi_net *net, clvi_map x, int layers);
clvi_map clvi_arch_resnet(clvi_net *net, clvi_map x, int layers);
clvi_map clvi_arch_vgg(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_mobilenet_v1(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_mobilenet_v2(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_shufflenet_v2(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_mnasnet(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_efficientnet(clvi_net *net, clvi_map x, int variant);
clvi_map clvi_arch_squeezenet(clvi_net *net, clvi_map x, int variant);

#endif
