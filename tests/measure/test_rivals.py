#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_rivals.py CLEAVE: `cleave bench --against` with this Python: ONNX Runtime agrees with cleave on two networks, with 1 and 2
threads; what is not installed is named with its package. Exit 1 when not so, 77 without ONNX Runtime."""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

if importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("numpy") is None:
    print("skipped: no onnxruntime or numpy")
    sys.exit(77)

CLEAVE = sys.argv[1]


def check(folder, network, *words):
    model, found = folder / "net.onnx", folder / "bench.json"
    subprocess.run([CLEAVE, "new", network, "-o", str(model), "--quiet", *words], check=True, stdout=subprocess.DEVNULL)
    for threads in ("1", "2"):
        done = subprocess.run([CLEAVE, "bench", str(model), "--against", "onnxruntime,openvino,mnn,ncnn,nonsense", "--python", sys.executable,
                               "--threads", threads, "--rounds", "2", "--json", str(found)], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr)
            return False
        rows = {row["engine"]: row for row in json.loads(found.read_text())["against"]}
        ort = rows["onnxruntime"]
        assert ort["error"] < 1e-4 and ort["counted"] is True and not ort["note"], ort
        assert 0 < ort["least"] <= ort["times_cleave"] <= ort["most"] and ort["threads"] == int(threads), ort
        assert "unknown engine" in rows["nonsense"]["note"], rows["nonsense"]
        for name, package in (("openvino", "openvino"), ("ncnn", "ncnn"), ("mnn", "MNN")):
            if importlib.util.find_spec(package) is None:
                assert f"pip install {package}" in rows[name]["note"] and package in done.stderr, rows[name]
        print(f"{network}, {threads} threads: ONNX Runtime differs by {ort['error']:.1e}, takes {ort['times_cleave']:.2f} times as long")
    return True


with tempfile.TemporaryDirectory() as place:
    good = check(pathlib.Path(place), "resnet20") and check(pathlib.Path(place), "shufflenet_v2", "--size", "64")
sys.exit(0 if good else 1)
