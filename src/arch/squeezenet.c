/* SPDX-License-Identifier: Apache-2.0 */
/* SqueezeNet 1.1. Source: Iandola et al., arXiv 1602.07360; the 1.1 release of its authors (3x3 stem of 64, pools after
 * the stem, fire 3 and fire 5, rounded up). */
#include "arch/arch.h"

static clvi_map conv_relu(clvi_net *net, clvi_map x, const char *path, int64_t out, int64_t kernel)
{
    x = clvi_net_conv(net, x, path, (clvi_conv_spec){.out = out, .kernel = kernel, .bias = true});
    return clvi_net_activate(net, x, clvi_net_path(net, "%s.relu", path), CLVI_RELU);
}

static clvi_map fire(clvi_net *net, clvi_map x, const char *path, int64_t squeeze, int64_t expand)
{
    x = conv_relu(net, x, clvi_net_path(net, "%s.squeeze", path), squeeze, 1);
    const clvi_map a = conv_relu(net, x, clvi_net_path(net, "%s.expand1x1", path), expand, 1),
                   b = conv_relu(net, x, clvi_net_path(net, "%s.expand3x3", path), expand, 3);
    return clvi_net_concat(net, a, b, clvi_net_path(net, "%s.concat", path));
}

clvi_map clvi_arch_squeezenet(clvi_net *net, clvi_map x, int variant)
{
    static const int64_t squeeze[] = {16, 16, 32, 32, 48, 48, 64, 64};
    const clvi_pool_spec pool = {.kernel = 3, .stride = 2, .ceil = true};
    (void)variant;
    x = clvi_net_conv(net, x, "stem.conv",
                      (clvi_conv_spec){.out = 64, .kernel = 3, .stride = 2, .unpadded = true, .bias = true});
    x = clvi_net_activate(net, x, "stem.relu", CLVI_RELU);
    x = clvi_net_maxpool(net, x, "stem.pool", pool);
    for (int i = 0; i < 8; i++) {
        x = fire(net, x, clvi_net_path(net, "fire%d", i + 2), squeeze[i], 4 * squeeze[i]);
        if (i == 1 || i == 3)
            x = clvi_net_maxpool(net, x, clvi_net_path(net, "fire%d.pool", i + 2), pool);
    }
    x = conv_relu(net, x, "classifier", net->classes, 1);
    x = clvi_net_global_average(net, x, "pool");
    return clvi_net_flatten(net, x, "logits");
}
