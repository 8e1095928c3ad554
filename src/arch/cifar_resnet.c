/* SPDX-License-Identifier: Apache-2.0 */
/* ResNet for 32x32 images: 6 n + 2 layers, three stages of n basic blocks of 16, 32 and 64 channels.
 *
 * Source: He et al., arXiv 1512.03385, section 4.2. Where a stage begins the shortcut takes every second pixel and pads
 * the new channels with zeros, half before and half behind (option A), so shortcuts have no parameters. */
#include "arch/arch.h"

static clvi_map shortcut(clvi_net *net, clvi_map x, const char *path, int64_t channels)
{
    static const int64_t starts[] = {0, 0}, ends[] = {INT64_MAX, INT64_MAX}, axes[] = {2, 3}, steps[] = {2, 2};
    clvi_map half = x, y = x;
    const int64_t before = (channels - x.channels) / 2, behind = channels - x.channels - before;
    const int64_t pads[] = {0, before, 0, 0, 0, behind, 0, 0};
    const char *const slice = clvi_net_path(net, "%s.slice", path), *const pad = clvi_net_path(net, "%s.pad", path);
    const int32_t in[] = {x.id, clvi_net_ints_constant(net, clvi_net_path(net, "%s.starts", slice), starts, 2),
                          clvi_net_ints_constant(net, clvi_net_path(net, "%s.ends", slice), ends, 2),
                          clvi_net_ints_constant(net, clvi_net_path(net, "%s.axes", slice), axes, 2),
                          clvi_net_ints_constant(net, clvi_net_path(net, "%s.steps", slice), steps, 2)};
    (void)clvi_net_node(net, "Slice", slice, in, 5, &half.id);
    const int32_t padded[] = {half.id, clvi_net_ints_constant(net, clvi_net_path(net, "%s.pads", pad), pads, 8)};
    (void)clvi_net_node(net, "Pad", pad, padded, 2, &y.id);
    y.channels = channels;
    y.side = (x.side + 1) / 2;
    y.mean = x.mean * (double)x.channels / (double)channels;
    y.power = x.power * (double)x.channels / (double)channels;
    return y;
}

static clvi_map block(clvi_net *net, clvi_map x, const char *path, int64_t channels, int64_t stride)
{
    const clvi_conv_spec first = {.out = channels, .kernel = 3, .stride = stride},
                         second = {.out = channels, .kernel = 3};
    clvi_map y = clvi_net_conv(net, x, clvi_net_path(net, "%s.conv1", path), first);
    y = clvi_net_batchnorm(net, y, clvi_net_path(net, "%s.bn1", path));
    y = clvi_net_activate(net, y, clvi_net_path(net, "%s.relu1", path), CLVI_RELU);
    y = clvi_net_conv(net, y, clvi_net_path(net, "%s.conv2", path), second);
    y = clvi_net_batchnorm(net, y, clvi_net_path(net, "%s.bn2", path));
    if (stride > 1 || channels != x.channels)
        x = shortcut(net, x, clvi_net_path(net, "%s.shortcut", path), channels);
    y = clvi_net_add(net, y, x, clvi_net_path(net, "%s.add", path));
    return clvi_net_activate(net, y, clvi_net_path(net, "%s.relu2", path), CLVI_RELU);
}

clvi_map clvi_arch_cifar_resnet(clvi_net *net, clvi_map x, int layers)
{
    const int blocks = (layers - 2) / 6;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = clvi_net_scaled(net, 16), .kernel = 3}, CLVI_RELU);
    for (int stage = 0; stage < 3; stage++)
        for (int b = 0; b < blocks; b++)
            x = block(net, x, clvi_net_path(net, "stage%d.block%d", stage + 1, b + 1),
                      clvi_net_scaled(net, (int64_t)16 << stage), stage > 0 && b == 0 ? 2 : 1);
    return clvi_net_classify(net, x);
}
