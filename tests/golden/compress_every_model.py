#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compress_every_model.py CLEAVE: compress each network of ../shared/data and judge what was written by ONNX Runtime.

Each file must pass onnx's checker, load in ONNX Runtime, and give there what `cleave run` gives, within 1e-4 of the largest output.
A model with an invented operator and domain must keep it. 77: data or ONNX Runtime are not there."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

DATA = pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "data"
LOSSLESS, PHOTOS = DATA / "cifar10-lossless" / "train.tar", DATA / "imagenet-sample"
CASES = {  # model: images, preprocessing, form; None: refused, since depthwise and pointwise layers do not gain
    "resnet20": (LOSSLESS, ["cifar10"], "depthwise"),
    "resnet20_torchraw": (LOSSLESS, ["cifar10"], "bottleneck"),
    "resnet56": (LOSSLESS, ["cifar10"], "channel"),
    "squeezenet1.1": (PHOTOS, ["caffe"], "depthwise"),
    "mobilenet_v1_0.25_224": (PHOTOS, ["tf"], None),
    "ultraface_version-slim-320": (DATA / "faces", ["ultraface"], "depthwise"),
    "ultraface_version-slim-320_simplified": (DATA / "faces", ["ultraface"], "channel"),
    "waifu2x_upconv_7_photo_scale2x": (DATA / "faces", ["unit", "--resize", "142x142"], "channel"),
    "dicenet_s_0.2_pascal_256x256": (PHOTOS, ["imagenet", "--resize", "256x256", "--crop", "0"], None),
    "nanodet_m_320": (PHOTOS, ["nanodet"], None),
}
INDEX = json.loads((DATA / "expected" / "index.json").read_text()) if DATA.exists() else {}


def cleave(*args, expect=0):
    done = subprocess.run([sys.argv[1], *map(str, args)], capture_output=True, text=True)
    if done.returncode != expect:
        raise AssertionError(f"cleave {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr[-1500:]}")
    return done.stdout


def expected_input(model):
    entry = INDEX[model]
    return entry["input_name"], np.fromfile(DATA / "expected" / entry["input"]["file"], np.float32).reshape(
        entry["input"]["shape"])


def worst(path, model, folder):
    """The largest difference to ONNX Runtime, relative to the largest output."""
    name, x = expected_input(model)
    np.save(folder / "x.npy", x)
    cleave("run", path, "--input", f"{name}={folder / 'x.npy'}", "--out-dir", folder / "out")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    result = 0.0
    for output, ours in zip(session.run(None, {name: x}), session.get_outputs()):
        safe = "".join(c if c.isalnum() or c in ".-_" else "_" for c in ours.name)
        mine = np.load(folder / "out" / f"{safe}.npy")
        result = max(result, float(np.abs(mine - output).max() / np.abs(output).max()))
    return result


def check(model, images, preprocess, form, folder):
    source, target = DATA / "models" / f"{model}.onnx", folder / "small.onnx"
    args = ["compress", source, "-o", target, "--calibration", images, "--limit", 24, "--samples", 2000, "--rounds", 1, "--preprocess",
            *preprocess, "--form", form or "depthwise", "--quiet"]
    if form is None:
        cleave(*args, expect=3)
        assert not target.exists()
        return "refused, as it must be: nothing gains"
    cleave(*args)
    onnx.checker.check_model(onnx.load(target))
    before, after = onnx.load(source), onnx.load(target)
    assert [(o.domain, o.version) for o in before.opset_import] == [(o.domain, o.version) for o in after.opset_import]
    assert before.ir_version == after.ir_version
    error = worst(target, model, folder)
    assert error < 1e-4, f"{model}: {error:.2e} away from ONNX Runtime"
    return f"{form}, {error:.1e} away from ONNX Runtime"


def invented_operator(folder):
    """An operator nobody knows, behind a convolution that can be split: it survives, with its attributes and domain."""
    model = onnx.load(DATA / "models" / "resnet20.onnx")
    node = onnx.helper.make_node("Frobnicate", ["logits"], ["frobnicated"], domain="com.example.invented", level=7, mode="soft")
    model.graph.node.append(node)
    model.graph.output.append(onnx.helper.make_tensor_value_info("frobnicated", onnx.TensorProto.FLOAT, ["batch", 10]))
    model.opset_import.append(onnx.helper.make_opsetid("com.example.invented", 3))
    source, target = folder / "invented.onnx", folder / "invented-small.onnx"
    onnx.save(model, source)
    cleave("compress", source, "-o", target, "--calibration", LOSSLESS, "--limit", 24, "--samples", 2000, "--rounds", 1, "--preprocess",
           "cifar10", "--quiet")
    after = onnx.load(target)
    kept = [n for n in after.graph.node if n.op_type == "Frobnicate"]
    assert len(kept) == 1 and kept[0] == node, "the invented operator changed"
    assert ("com.example.invented", 3) in [(o.domain, o.version) for o in after.opset_import]
    assert sum(n.op_type == "Conv" for n in after.graph.node) == 1 + 18 * 4  # two filters a channel, in parallel
    return "survived"


def main():
    if not DATA.exists():
        print("skipped: no ../shared/data")
        return 77
    failed = 0
    for model, (images, preprocess, form) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{model}: {check(model, images, preprocess, form, pathlib.Path(folder))}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{model}: FAILED: {error}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(f"invented operator: {invented_operator(pathlib.Path(folder))}")
    return 1 if failed else 0


sys.exit(main())
