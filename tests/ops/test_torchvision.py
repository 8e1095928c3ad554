#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_torchvision.py CLEAVE: every classification family of torchvision, exported with random weights at several operator sets,
run by `cleave run` and compared with torch: largest difference at most 1e-4 of the largest output.

Weights are random but the BatchNorm statistics are set from two batches, so that activations keep a natural size through deep
networks. Exit 0 all agree, 1 something differs, 77 torch or torchvision is not there."""
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy
    import torch
    import torchvision.models as zoo
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TOLERANCE = 1e-4


def without_head(network, features):
    """VGG and AlexNet with one small layer in place of three of 400 MB."""
    network.classifier = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(features, 10))
    return network


# name, network, side of the image, operator sets
FAMILIES = [
    ("alexnet", lambda: without_head(zoo.alexnet(), 256 * 36), 224, (9, 13)),
    ("vgg11", lambda: without_head(zoo.vgg11(), 512 * 49), 224, (7, 17)),
    ("vgg11_bn", lambda: without_head(zoo.vgg11_bn(), 512 * 49), 224, (11,)),
    ("resnet18", zoo.resnet18, 96, (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)),
    ("resnet50", zoo.resnet50, 128, (13,)),
    ("resnext50_32x4d", zoo.resnext50_32x4d, 128, (11, 17)),
    ("squeezenet1_0", zoo.squeezenet1_0, 97, (10, 13)),
    ("squeezenet1_1", zoo.squeezenet1_1, 97, (10, 17)),
    ("mobilenet_v2", zoo.mobilenet_v2, 96, (7, 9, 11, 13, 17)),
    ("mobilenet_v3_small", zoo.mobilenet_v3_small, 96, (9, 11, 13, 14, 17)),
    ("mobilenet_v3_large", zoo.mobilenet_v3_large, 64, (12, 15)),
    ("shufflenet_v2_x0_5", zoo.shufflenet_v2_x0_5, 96, (9, 11, 13, 17)),
    ("mnasnet0_5", zoo.mnasnet0_5, 96, (9, 13, 17)),
    ("efficientnet_b0", zoo.efficientnet_b0, 96, (9, 11, 13, 17)),
    ("densenet121", zoo.densenet121, 64, (9, 13, 17)),
    ("googlenet", lambda: zoo.googlenet(init_weights=False), 96, (11, 13, 17)),
    ("inception_v3", lambda: zoo.inception_v3(init_weights=False, aux_logits=False), 139, (13,)),
    ("regnet_y_400mf", zoo.regnet_y_400mf, 64, (13,)),
]


def settle(network, side):
    """Random input through the network in training mode sets the running statistics of every BatchNorm."""
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean over all batches
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(4, 3, side, side))
    return network.eval()


def export(network, x, path, opset):
    """With a symbolic batch; fixed where torch cannot (Split of ShuffleNet below opset 11 needs known sizes)."""
    options = {"opset_version": opset, "input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(network, x, str(path), dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **options)
        except torch.onnx.errors.OnnxExporterError:
            torch.onnx.export(network, x, str(path), **options)


def compare(cleave, name, network, side, opset, folder):
    """The relative difference, or the message of a failure."""
    x = torch.randn(2, 3, side, side)
    model = folder / f"{name}-{opset}.onnx"
    export(network, x, model, opset)
    numpy.save(folder / "x.npy", x.numpy())
    done = subprocess.run([cleave, "run", model, "--input", f"x={folder / 'x.npy'}", "--out-dir", folder / "out"],
                          capture_output=True, text=True, check=False)
    model.unlink()
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    with torch.no_grad():
        expected = network(x).numpy()
    y = numpy.load(folder / "out" / "y.npy")
    if y.shape != expected.shape or not numpy.isfinite(y).all():
        return f"shape {y.shape}, expected {expected.shape}; finite: {numpy.isfinite(y).all()}"
    return float(numpy.abs(y - expected).max() / numpy.abs(expected).max())


def main():
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_file():
        print("usage: test_torchvision.py CLEAVE")
        return 2
    torch.manual_seed(7)
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, make, side, opsets in FAMILIES:
            network = settle(make(), side)
            for opset in opsets:
                result = compare(sys.argv[1], name, network, side, opset, pathlib.Path(scratch))
                ok = isinstance(result, float) and result <= TOLERANCE
                failed += not ok
                print(f"{'ok    ' if ok else 'FAILED'} {name} opset {opset}: {result}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
