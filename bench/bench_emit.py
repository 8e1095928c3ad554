#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_emit.py BENCH_SESSION [--threads N] [--rounds N] [--batch N] [LABEL=FILE ...]: what each way of writing a depthwise
layer with several filters a channel costs, in ONNX Runtime and in our own runtime, at batch 1 unless said otherwise.

Without files: a 3x3 depthwise layer with m filters a channel, its pointwise layer and a ReLU, at four shapes, beside the dense 3x3
layer; they must agree. With files (from `cleave compress --emit ...`, each fitted by itself): those. The contenders take turns within each round; a figure is the
median of the rounds with the first and third quartile. ONNX Runtime: one call a turn, after three to warm up. Ours: one process of
bench_session a turn, its median of 15 runs."""
import argparse
import os
import pathlib
import re
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SHAPES = [(16, 32), (64, 56), (128, 28), (256, 14)]  # channels, rows and columns
KINDS = ["dense", "grouped", "parallel", "gather"]


class Block:
    """x[b, c, s, s] -> the layer -> Relu -> y"""

    def __init__(self, c, s):
        self.nodes, self.constants, self.c, self.s = [], [], c, s

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x, y, weight, group=1):
        k = weight.shape[-1]
        self.nodes.append(helper.make_node("Conv", [x, self.constant(f"{y}.weight", weight)], [y], group=group, kernel_shape=[k, k],
                                           pads=[k // 2] * 4))

    def save(self, path):
        self.nodes.append(helper.make_node("Relu", ["y"], ["z"]))
        shape = ["batch", self.c, self.s, self.s]
        graph = helper.make_graph(self.nodes, "block", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)], self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)


def write_block(path, kind, c, s, m):
    draw = np.random.default_rng(1)
    depthwise = draw.standard_normal((c * m, 1, 3, 3)).astype(np.float32)
    pointwise = (draw.standard_normal((c, c * m, 1, 1)) / np.sqrt(9 * c * m)).astype(np.float32)
    block = Block(c, s)
    if kind == "dense":
        block.conv("x", "y", np.einsum("oim,imyx->oiyx", pointwise.reshape(c, c, m), depthwise.reshape(c, m, 3, 3)).copy())
    elif kind == "grouped":
        block.conv("x", "d", depthwise, c)
        block.conv("d", "y", pointwise)
    elif kind == "gather":
        block.nodes.append(helper.make_node("Gather", ["x", block.constant("list", np.repeat(np.arange(c), m))], ["g"], axis=1))
        block.conv("g", "d", depthwise, c * m)
        block.conv("d", "y", pointwise)
    else:
        for j in range(m):
            block.conv("x", f"d{j}", depthwise[j::m].copy(), c)
            block.conv(f"d{j}", f"p{j}", pointwise[:, j::m].copy())
            if j > 0:
                block.nodes.append(helper.make_node("Add", [f"p{0 if j == 1 else f'{j - 1}s'}", f"p{j}"],
                                                    ["y" if j == m - 1 else f"p{j}s"]))
    block.save(path)


def quartiles(seconds):
    low, middle, high = np.percentile(1e3 * np.array(seconds), [25, 50, 75])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})", middle


def time_onnxruntime(paths, equal, threads, rounds, batch):
    sessions, seconds, first = [], [[] for _ in paths], None
    for path in paths:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        sessions.append(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    entry = sessions[0].get_inputs()[0]
    shape = [batch] + [d if isinstance(d, int) else 224 for d in entry.shape[1:]]
    x = {entry.name: np.random.default_rng(2).standard_normal(shape).astype(np.float32)}
    for turn in range(-3, rounds):
        for session, list_ in zip(sessions, seconds):
            start = time.perf_counter()
            y = session.run(None, x)[0]
            if turn >= 0:
                list_.append(time.perf_counter() - start)
            elif equal:
                first = y if first is None else first
                assert np.abs(y - first).max() <= 1e-3 * np.abs(first).max(), "they do not compute the same"
    return seconds


def time_ours(paths, program, threads, rounds, batch):
    seconds = [[] for _ in paths]
    for _ in range(rounds):
        for path, list_ in zip(paths, seconds):
            text = subprocess.run([program, path, f"--threads={threads}", f"--batch={batch}"], check=True, capture_output=True,
                                  text=True).stdout
            list_.append(1e-3 * float(re.search(r"([0-9.]+) ms median", text).group(1)))
    return seconds


def compare(title, labels, paths, options):
    engines = {"ONNX Runtime": time_onnxruntime(paths, not options.files, options.threads, options.rounds, options.batch),
               "ours": time_ours(paths, options.bench_session, options.threads, max(3, options.rounds // 5), options.batch)}
    for engine, seconds in engines.items():
        figures = [quartiles(s) for s in seconds]
        base = figures[labels.index("grouped")][1] if "grouped" in labels else figures[0][1]
        print(f"| {title} | {engine} | " + " | ".join(f"{text}, {base / middle:.2f}x" for text, middle in figures) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench_session")
    parser.add_argument("files", nargs="*", metavar="LABEL=FILE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, {options.threads} of {os.cpu_count()} threads, batch {options.batch}, "
          f"{options.rounds} rounds; ms, quartiles, speed against grouped")
    labels = [f.split("=", 1)[0] for f in options.files] or KINDS
    print("| layer | engine | " + " | ".join(labels) + " |\n" + "| --- " * (len(labels) + 2) + "|")
    if options.files:
        compare("model", labels, [pathlib.Path(f.split("=", 1)[1]) for f in options.files], options)
        return
    with tempfile.TemporaryDirectory() as folder:
        for c, s in SHAPES:
            for m in (2, 4):
                paths = [pathlib.Path(folder) / f"{kind}-{c}-{s}-{m}.onnx" for kind in KINDS]
                for kind, path in zip(KINDS, paths):
                    write_block(path, kind, c, s, m)
                compare(f"{c} channels, {s}x{s}, m = {m}", labels, paths, options)


main()
