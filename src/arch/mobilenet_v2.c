/* SPDX-License-Identifier: Apache-2.0 */
/* MobileNetV2. Source: Sandler et al., arXiv 1801.04381, table 2. The last layer does not get narrower than 1280. */
#include "arch/arch.h"
#include "arch/inverted_residual.h"

clvi_map clvi_arch_mobilenet_v2(clvi_net *net, clvi_map x, int variant)
{
    static const clvi_inverted_stage stages[] = {{1, 3, 1, 16, 0, 1}, {6, 3, 2, 24, 0, 2}, {6, 3, 2, 32, 0, 3},
                                                 {6, 3, 2, 64, 0, 4}, {6, 3, 1, 96, 0, 3}, {6, 3, 2, 160, 0, 3},
                                                 {6, 3, 1, 320, 0, 1}};
    const clvi_conv_spec stem = {.out = clvi_net_scaled(net, 32), .kernel = 3, .stride = 2},
                         head = {.out = net->width > 1 ? clvi_net_scaled(net, 1280) : 1280, .kernel = 1};
    (void)variant;
    x = clvi_net_unit(net, x, "stem", stem, CLVI_RELU6);
    for (int s = 0; s < 7; s++)
        x = clvi_net_inverted_stage(net, x, s + 1, &stages[s], CLVI_RELU6);
    x = clvi_net_unit(net, x, "head", head, CLVI_RELU6);
    return clvi_net_classify(net, x);
}
