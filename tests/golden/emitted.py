#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""emitted.py WRITE_EMITTED: every form, in every way of writing it, against the dense convolution that it equals, in ONNX Runtime.

Each file must pass onnx's checker with shape inference, load, and agree within 1e-5 of the largest output, at batch 1 and 3. 77: no
ONNX Runtime."""
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


def outputs(path, batch):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    shape = [batch] + session.get_inputs()[0].shape[1:]
    x = np.random.default_rng(batch).standard_normal(shape).astype(np.float32)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def main():
    failed = files = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for dense in sorted(pathlib.Path(folder).glob("*.dense.onnx")):
            case = dense.name[:-len(".dense.onnx")]
            for path in sorted(dense.parent.glob(f"{case}.*.onnx")):
                for batch in (1, 3):
                    want, got = outputs(dense, batch), outputs(path, batch)
                    same = want.shape == got.shape
                    error = float(np.abs(want - got).max() / np.abs(want).max()) if same else float("inf")
                    files += path != dense
                    if not error < 1e-5:
                        failed += 1
                        print(f"{path.name}, batch {batch}: {error:.2e} away from the dense convolution")
    print(f"{files} runs, {failed} failed")
    return 1 if failed or files == 0 else 0


sys.exit(main())
