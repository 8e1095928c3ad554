/* SPDX-License-Identifier: Apache-2.0 */
/* EfficientNet-B0. Source: Tan and Le, arXiv 1905.11946, table 1; squeeze-and-excitation to a quarter of each block's
 * input channels. */
#include "arch/arch.h"
#include "arch/inverted_residual.h"

clvi_map clvi_arch_efficientnet(clvi_net *net, clvi_map x, int variant)
{
    static const clvi_inverted_stage stages[] = {{1, 3, 1, 16, 4, 1}, {6, 3, 2, 24, 4, 2},  {6, 5, 2, 40, 4, 2},
                                                 {6, 3, 2, 80, 4, 3}, {6, 5, 1, 112, 4, 3}, {6, 5, 2, 192, 4, 4},
                                                 {6, 3, 1, 320, 4, 1}};
    (void)variant;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = 32, .kernel = 3, .stride = 2}, CLVI_SWISH);
    for (int s = 0; s < 7; s++)
        x = clvi_net_inverted_stage(net, x, s + 1, &stages[s], CLVI_SWISH);
    x = clvi_net_unit(net, x, "head", (clvi_conv_spec){.out = 1280, .kernel = 1}, CLVI_SWISH);
    return clvi_net_classify(net, x);
}
