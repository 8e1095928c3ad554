/* SPDX-License-Identifier: Apache-2.0 */
/* VGG-16. Source: Simonyan and Zisserman, arXiv 1409.1556, table 1, column D. */
#include "arch/arch.h"

clvi_map clvi_arch_vgg(clvi_net *net, clvi_map x, int variant)
{
    static const struct {
        int64_t channels;
        int convs;
    } stages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
    for (int s = 0; s < 5; s++) {
        for (int c = 0; c < stages[s].convs; c++) {
            const char *const path = clvi_net_path(net, "stage%d.layer%d", s + 1, c + 1);
            const clvi_conv_spec spec = {.out = stages[s].channels, .kernel = 3, .bias = variant != CLVI_VGG_BATCHNORM};
            x = clvi_net_conv(net, x, clvi_net_path(net, "%s.conv", path), spec);
            if (variant == CLVI_VGG_BATCHNORM)
                x = clvi_net_batchnorm(net, x, clvi_net_path(net, "%s.bn", path));
            x = clvi_net_activate(net, x, clvi_net_path(net, "%s.relu", path), CLVI_RELU);
        }
        x = clvi_net_maxpool(net, x, s == 4 ? "features" : clvi_net_path(net, "stage%d.pool", s + 1),
                             (clvi_pool_spec){.kernel = 2, .stride = 2});
    }
    if (variant == CLVI_VGG_FEATURES)
        return x;
    x = clvi_net_flatten(net, x, "flatten");
    for (int i = 1; i <= 2; i++) {
        x = clvi_net_linear(net, x, clvi_net_path(net, "head%d.linear", i), 4096);
        x = clvi_net_activate(net, x, clvi_net_path(net, "head%d.relu", i), CLVI_RELU);
    }
    return clvi_net_logits(net, x, "classifier");
}
