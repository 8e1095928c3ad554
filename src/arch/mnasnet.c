/* SPDX-License-Identifier: Apache-2.0 */
/* MNASNet-B1. Source: Tan et al., arXiv 1807.11626, figure 7 without squeeze-and-excitation, as torchvision has it. */
#include "arch/arch.h"
#include "arch/inverted_residual.h"

clvi_map clvi_arch_mnasnet(clvi_net *net, clvi_map x, int variant)
{
    static const clvi_inverted_stage stages[] = {{1, 3, 1, 16, 0, 1}, {3, 3, 2, 24, 0, 3}, {3, 5, 2, 40, 0, 3},
                                                 {6, 5, 2, 80, 0, 3}, {6, 3, 1, 96, 0, 2}, {6, 5, 2, 192, 0, 4},
                                                 {6, 3, 1, 320, 0, 1}};
    (void)variant;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = clvi_net_scaled(net, 32), .kernel = 3, .stride = 2},
                      CLVI_RELU);
    for (int s = 0; s < 7; s++)
        x = clvi_net_inverted_stage(net, x, s + 1, &stages[s], CLVI_RELU);
    x = clvi_net_unit(net, x, "head", (clvi_conv_spec){.out = 1280, .kernel = 1}, CLVI_RELU);
    return clvi_net_classify(net, x);
}
