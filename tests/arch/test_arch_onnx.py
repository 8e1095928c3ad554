#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_arch_onnx.py CLEAVE: every network of `cleave new`, checked by onnx (checker, strict shape inference) and run by ONNX Runtime
and by cleave on the same two random images: largest difference at most 1e-4 of the largest output. Images are 64x64 where the
network takes 224x224, to keep it short. Exit 0 all agree, 1 something differs, 77 a module is not there."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TOLERANCE = 1e-4


def cleave(*words):
    subprocess.run([sys.argv[1], *words], check=True, stdout=subprocess.DEVNULL)


def judge(name, side, folder):
    path, image = folder / "net.onnx", folder / "x.npy"
    cleave("new", name, "-o", str(path), "--size", str(side), "--classes", "12", "--quiet")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (output,) = model.graph.output
    shape = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    x = numpy.random.default_rng(1).standard_normal((2, 3, side, side)).astype(numpy.float32)
    numpy.save(image, x)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    (theirs,) = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"input": x})
    cleave("run", str(path), "--input", str(image), "--out-dir", str(folder), "--quiet")
    ours = numpy.load(folder / f"{output.name}.npy")
    error = float(numpy.abs(ours - theirs).max() / numpy.abs(theirs).max())
    good = ours.shape == theirs.shape and shape[0] == "batch" and shape[1:] == list(theirs.shape[1:]) and error <= TOLERANCE
    print(f"{name:16} {str(shape):22} error {error:.1e} of the largest output, {numpy.abs(theirs).max():.3g}{'' if good else ' WRONG'}")
    return good


def main():
    good = True
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        cleave("new", "--list", "--json", str(folder / "list.json"))
        rows = json.loads((folder / "list.json").read_text())["networks"]
        for row in rows:
            good &= judge(row["name"], 32 if row["side"] == 32 else 64, folder)
    return 0 if good and len(rows) >= 15 else 1


sys.exit(main())
