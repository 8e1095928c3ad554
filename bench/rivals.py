#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rivals.py MODEL.onnx THREADS FOLDER ENGINE[,ENGINE...]: other inference engines on request, for `cleave bench --against`.

FOLDER holds names.txt (one input name a line), in0.npy ... in that order, and out0.npy ...: what cleave computed. On standard output,
one line each:

    engine NAME VERSION ERROR     can be run; ERROR is the largest |difference| of any output over that output's largest |value|
    missing NAME TEXT             its package is not installed; TEXT says which
    failed NAME TEXT              it cannot run this model
    ready

Then, for each line `run NAME SECONDS` on standard input, `times NAME S S S ...`: seconds of single runs, after one that is not
counted, at least three and as many as fit. Ends with standard input. An engine is a class with a name, its pip packages, and run().
float32 throughout, THREADS threads, everything else as the engine chooses."""
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

PAUSE = 0.03  # seconds after a block, in which an engine's threads stop spinning


class OnnxRuntime:
    name, packages = "onnxruntime", ("onnxruntime",)

    def __init__(self, model, threads, inputs, folder):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.inputs = inputs

    def run(self):
        return self.session.run(None, self.inputs)


class OpenVino:
    name, packages = "openvino", ("openvino",)

    def __init__(self, model, threads, inputs, folder):
        import openvino

        core = openvino.Core()
        net = core.read_model(str(model))
        net.reshape({name: list(x.shape) for name, x in inputs.items()})
        self.compiled = core.compile_model(net, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1",
                                                        "INFERENCE_PRECISION_HINT": "f32"})
        self.request = self.compiled.create_infer_request()
        self.inputs = inputs

    def run(self):
        result = self.request.infer(self.inputs, share_inputs=True, share_outputs=True)
        return [result[port] for port in self.compiled.outputs]


class Ncnn:
    """Converted by pnnx; fp16 and bf16 off. The sizes are fixed, batch 1."""
    name, packages = "ncnn", ("ncnn", "pnnx")

    def __init__(self, model, threads, inputs, folder):
        import ncnn

        if len(inputs) != 1 or next(iter(inputs.values())).shape[0] != 1:
            raise ValueError("one input of batch 1 is what this comparison can give it")
        (x,) = inputs.values()
        copy = pathlib.Path(folder) / "net.onnx"
        shutil.copy(model, copy)
        tool = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
        shape = ",".join(str(n) for n in x.shape)
        subprocess.run([str(tool), copy.name, f"inputshape=[{shape}]", "fp16=0"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.opt.use_fp16_packed = self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        if self.net.load_param(str(copy.with_suffix(".ncnn.param"))) or self.net.load_model(str(copy.with_suffix(".ncnn.bin"))):
            raise ValueError("the converted network cannot be loaded")
        self.ncnn, self.x = ncnn, ncnn.Mat(x[0]).clone()

    def run(self):
        import numpy

        with self.net.create_extractor() as extractor:
            extractor.input(self.net.input_names()[0], self.x)
            return [numpy.array(extractor.extract(name)[1]) for name in self.net.output_names()]


class Mnn:
    name, packages = "mnn", ("MNN",)

    def __init__(self, model, threads, inputs, folder):
        import MNN

        converted = pathlib.Path(folder) / "net.mnn"
        subprocess.run([str(pathlib.Path(sys.executable).parent / "mnnconvert"), "-f", "ONNX", "--modelFile", str(model), "--MNNModel",
                        str(converted), "--bizCode", "bench"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.net = MNN.Interpreter(str(converted))
        self.session = self.net.createSession({"numThread": threads, "backend": "CPU", "precision": "high"})
        for name, x in inputs.items():
            self.net.resizeTensor(self.net.getSessionInput(self.session, name), x.shape)
        self.net.resizeSession(self.session)
        self.MNN = MNN
        self.inputs = {name: MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe) for name, x in inputs.items()}
        self.names = list(self.net.getSessionOutputAll(self.session))

    def run(self):
        import numpy

        for name, x in self.inputs.items():
            self.net.getSessionInput(self.session, name).copyFrom(x)
        self.net.runSession(self.session)
        result = []
        for name in self.names:
            out = self.net.getSessionOutput(self.session, name)
            host = self.MNN.Tensor(out.getShape(), self.MNN.Halide_Type_Float, numpy.zeros(out.getShape(), numpy.float32),
                                   self.MNN.Tensor_DimensionType_Caffe)
            out.copyToHostTensor(host)
            result.append(numpy.array(host.getData(), dtype=numpy.float32).reshape(out.getShape()))
        return result


ENGINES = [OnnxRuntime, OpenVino, Ncnn, Mnn]


def error_of(theirs, ours):
    """Largest |difference| over the largest |value|, over all outputs; engines that forget the order are matched by size."""
    import numpy

    theirs, worst = [numpy.asarray(t) for t in theirs], 0.0
    for o in ours:
        fits = [t for t in theirs if t.size == o.size]
        if not fits:
            return float("inf")
        top = max(float(numpy.abs(o).max()), 1e-30)
        least = min(float(numpy.abs(t.reshape(o.shape).astype(numpy.float64) - o).max()) for t in fits) / top
        worst = max(worst, least) if least == least else float("inf")
    return worst


def main():
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # engines print what they like elsewhere

    def say(*words):
        print(*[" ".join(str(word).split()) for word in words], file=wire, flush=True)

    model, threads, folder, wanted = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    for name in wanted.split(","):
        if name not in [e.name for e in ENGINES]:
            say("failed", name, "unknown engine, there are:", ", ".join(e.name for e in ENGINES))
    engines = [e for name in wanted.split(",") for e in ENGINES if e.name == name]
    if importlib.util.find_spec("numpy") is None:
        for engine in engines:
            say("missing", engine.name, "pip install numpy", *engine.packages)
        say("ready")
        return
    import numpy

    names = (folder / "names.txt").read_text().split("\n")[:-1]
    inputs = {name: numpy.load(folder / f"in{i}.npy") for i, name in enumerate(names)}
    ours = [numpy.load(folder / f"out{i}.npy") for i in range(len(list(folder.glob("out*.npy"))))]
    running = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for engine in engines:
            absent = [p for p in engine.packages if importlib.util.find_spec(p) is None]
            if absent:
                say("missing", engine.name, "pip install", *absent)
                continue
            try:
                room = pathlib.Path(place) / engine.name
                room.mkdir()
                running[engine.name] = engine(model, threads, inputs, room)
                error = error_of(running[engine.name].run(), ours)
                say("engine", engine.name, importlib.metadata.version(engine.packages[0]), f"{error:.3g}")
            except Exception as problem:  # whatever an engine throws, the others go on
                running.pop(engine.name, None)
                say("failed", engine.name, f"{type(problem).__name__}: {problem}"[:160])
        say("ready")
        for line in sys.stdin:
            _, name, seconds = line.split()
            run, budget, times = running[name].run, float(seconds), []
            run()
            start = time.perf_counter()
            while len(times) < 3 or time.perf_counter() - start < budget:
                before = time.perf_counter()
                run()
                times.append(time.perf_counter() - before)
            time.sleep(PAUSE)
            say("times", name, *(f"{t:.9f}" for t in times))


main()
