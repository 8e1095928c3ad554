/* SPDX-License-Identifier: Apache-2.0 */
/* ResNet-18 and ResNet-50. Source: He et al., arXiv 1512.03385, table 1; projections (option B) where a stage begins,
 * and in the bottleneck blocks the stride in the 3x3 convolution, as torchvision has it. */
#include "arch/arch.h"

static clvi_map conv_bn(clvi_net *net, clvi_map x, const char *path, int number, clvi_conv_spec spec)
{
    x = clvi_net_conv(net, x, clvi_net_path(net, "%s.conv%d", path, number), spec);
    return clvi_net_batchnorm(net, x, clvi_net_path(net, "%s.bn%d", path, number));
}

static clvi_map relu(clvi_net *net, clvi_map x, const char *path, int number)
{
    return clvi_net_activate(net, x, clvi_net_path(net, "%s.relu%d", path, number), CLVI_RELU);
}

/* width: channels inside; the block gives `out`. */
static clvi_map block(clvi_net *net, clvi_map x, const char *path, int64_t width, int64_t out, int64_t stride)
{
    clvi_map y;
    int last = 2;
    if (width == out) {
        y = conv_bn(net, x, path, 1, (clvi_conv_spec){.out = width, .kernel = 3, .stride = stride});
        y = relu(net, y, path, 1);
        y = conv_bn(net, y, path, 2, (clvi_conv_spec){.out = out, .kernel = 3});
    } else {
        y = conv_bn(net, x, path, 1, (clvi_conv_spec){.out = width, .kernel = 1});
        y = relu(net, y, path, 1);
        y = conv_bn(net, y, path, 2, (clvi_conv_spec){.out = width, .kernel = 3, .stride = stride});
        y = relu(net, y, path, 2);
        y = conv_bn(net, y, path, 3, (clvi_conv_spec){.out = out, .kernel = 1});
        last = 3;
    }
    if (stride > 1 || x.channels != out)
        x = clvi_net_unit(net, x, clvi_net_path(net, "%s.shortcut", path),
                          (clvi_conv_spec){.out = out, .kernel = 1, .stride = stride}, CLVI_LINEAR);
    y = clvi_net_add(net, y, x, clvi_net_path(net, "%s.add", path));
    return relu(net, y, path, last);
}

clvi_map clvi_arch_resnet(clvi_net *net, clvi_map x, int layers)
{
    static const int basic[] = {2, 2, 2, 2}, bottleneck[] = {3, 4, 6, 3};
    const int *const blocks = layers == 18 ? basic : bottleneck;
    const int64_t expansion = layers == 18 ? 1 : 4;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = 64, .kernel = 7, .stride = 2}, CLVI_RELU);
    x = clvi_net_maxpool(net, x, "stem.pool", (clvi_pool_spec){.kernel = 3, .stride = 2, .pad = 1});
    for (int stage = 0; stage < 4; stage++)
        for (int b = 0; b < blocks[stage]; b++) {
            const int64_t width = (int64_t)64 << stage;
            x = block(net, x, clvi_net_path(net, "stage%d.block%d", stage + 1, b + 1), width, width * expansion,
                      stage > 0 && b == 0 ? 2 : 1);
        }
    return clvi_net_classify(net, x);
}
