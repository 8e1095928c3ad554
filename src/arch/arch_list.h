/* SPDX-License-Identifier: Apache-2.0 */
/* A(name, build, variant, side, classes, scales, preprocess, summary): every network that can be made. `build` is
 * clvi_arch_<build> in the family's file, `variant` its last argument, `scales` whether it takes a width. */
A("resnet20", cifar_resnet, 20, 32, 10, true, "cifar10", "He et al. 2015, CIFAR, shortcuts without parameters")
A("resnet32", cifar_resnet, 32, 32, 10, true, "cifar10", "the same, 32 layers")
A("resnet44", cifar_resnet, 44, 32, 10, true, "cifar10", "the same, 44 layers")
A("resnet56", cifar_resnet, 56, 32, 10, true, "cifar10", "the same, 56 layers")
A("resnet18", resnet, 18, 224, 1000, false, "imagenet", "He et al. 2015, ImageNet, basic blocks")
A("resnet50", resnet, 50, 224, 1000, false, "imagenet", "the same, bottleneck blocks, stride in the 3x3")
A("vgg16", vgg, CLVI_VGG_PLAIN, 224, 1000, false, "imagenet", "Simonyan and Zisserman 2014; 138 M parameters")
A("vgg16_bn", vgg, CLVI_VGG_BATCHNORM, 224, 1000, false, "imagenet", "the same with BatchNorm")
A("vgg16_features", vgg, CLVI_VGG_FEATURES, 224, 1000, false, "imagenet", "its convolutions alone")
A("mobilenet_v1", mobilenet_v1, 0, 224, 1000, true, "tf", "Howard et al. 2017, depthwise-separable")
A("mobilenet_v2", mobilenet_v2, 0, 224, 1000, true, "imagenet", "Sandler et al. 2018, inverted residuals")
A("shufflenet_v2", shufflenet_v2, 0, 224, 1000, false, "imagenet", "Ma et al. 2018, 1.0x, channel split and shuffle")
A("mnasnet", mnasnet, 0, 224, 1000, true, "imagenet", "Tan et al. 2018, MNASNet-B1")
A("efficientnet_b0", efficientnet, 0, 224, 1000, false, "imagenet", "Tan and Le 2019, squeeze and excitation, swish")
A("squeezenet1.1", squeezenet, 0, 224, 1000, false, "imagenet", "Iandola et al. 2016, fire modules, no BatchNorm")
