# SPDX-License-Identifier: Apache-2.0
"""Read and write models with cleave, then ask others whether anything changed.

usage: roundtrip.py ONNX_ROUNDTRIP [DATA]
ONNX_ROUNDTRIP is the program of that name; DATA the folder with models/ and expected/.
The content must be equal field by field, pass onnx.checker, and give the same output bits in ONNX Runtime.
Exit status: 0 all equal, 1 something differs, 77 a Python module is missing.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def canonical(path):
    """The model with data inside, tensors as raw data, initializers and value infos by name."""
    model = onnx.load(path)
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        if tensor.data_type != TensorProto.STRING and not tensor.HasField("raw_data"):
            values = numpy_helper.to_array(tensor)
            kept = onnx.TensorProto()
            kept.CopyFrom(tensor)
            for field in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                kept.ClearField(field)
            kept.raw_data = numpy_helper.from_array(values).raw_data
            tensor.CopyFrom(kept)
        tensor.ClearField("data_location")
    for field in (model.graph.initializer, model.graph.value_info):
        entries = sorted(field, key=lambda entry: entry.name)
        del field[:]
        field.extend(entries)
    return model.SerializeToString(deterministic=True)


def outputs(path, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def check(program, path, feeds, folder):
    """The differences that were found, as sentences."""
    out = os.path.join(folder, "out.onnx")
    ran = subprocess.run([program, path, out], capture_output=True, text=True)
    if ran.returncode:
        return [f"refused: {ran.stderr.strip()}"]
    wrong = []
    onnx.checker.check_model(out)
    if canonical(path) != canonical(out):
        wrong.append("the content differs")
    if feeds is not None:
        for a, b in zip(outputs(path, feeds), outputs(out, feeds)):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                wrong.append("an output differs")
    return wrong


def real_models(data):
    with open(os.path.join(data, "expected", "index.json"), encoding="utf-8") as index:
        entries = json.load(index)
    for name, entry in entries.items():
        shape = entry["input"]["shape"]
        values = np.fromfile(os.path.join(data, "expected", entry["input"]["file"]), np.float32).reshape(shape)
        yield name, os.path.join(data, entry["model"]), {entry["input_name"]: values}
    path = os.path.join(data, "models", "resnet20_jpeg.onnx")
    cifar = np.fromfile(os.path.join(data, "expected", "cifar.input.f32"), np.float32).reshape(-1, 3, 32, 32)
    yield "resnet20_jpeg", path, {"input": cifar}


def save(model, folder, name, **how):
    path = os.path.join(folder, name + ".onnx")
    onnx.save(model, path, **how)
    return path


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, inits=(), opset=17, ir=8, **more):
    graph = helper.make_graph(nodes, "made", [value("x", ["n", 4])], [value("y", ["n", 4])], list(inits))
    opsets = [helper.make_opsetid("", opset)] + more.pop("opsets", [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, **more)


def made_models(folder):
    """Models with what the real ones lack. feeds None: ONNX Runtime has no such operator."""
    feeds = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
    relu = helper.make_node("Relu", ["x"], ["y"])
    for ir, opset in ((4, 7), (5, 9), (8, 15), (9, 19), (10, 21), (10, 22)):
        yield f"ir{ir}_opset{opset}", save(model_of([relu], opset=opset, ir=ir), folder, "versions"), feeds

    big = numpy_helper.from_array(np.random.default_rng(1).random((4, 400), np.float32), "w")
    back = numpy_helper.from_array(np.random.default_rng(2).random((400, 4), np.float32), "v")
    products = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["y"])]
    path = save(model_of(products, [big, back]), folder, "outside", save_as_external_data=True,
                location="outside.bin", size_threshold=1024)
    yield "external_data", path, feeds

    sums = [helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.full(4, 3, np.float32), "k")),
            helper.make_node("Add", ["x", "k"], ["y"])]
    path = save(model_of(sums), folder, "attribute", save_as_external_data=True, location="attribute.bin",
                size_threshold=0, convert_attribute=True)
    yield "external_attribute", path, feeds

    branch = [helper.make_graph([helper.make_node(op, ["x", "c"], [op])], op, [], [value(op, ["n", 4])])
              for op in ("Add", "Mul")]
    flag = numpy_helper.from_array(np.array(True), "flag")
    constant = numpy_helper.from_array(np.full(4, 2, np.float32), "c")
    chosen = helper.make_node("If", ["flag"], ["y"], then_branch=branch[0], else_branch=branch[1])
    yield "subgraphs", save(model_of([chosen], [flag, constant]), folder, "subgraphs"), feeds

    twice = helper.make_function("org.example", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                 [helper.make_opsetid("", 17)])
    call = helper.make_node("Twice", ["x"], ["y"], domain="org.example")
    example = [helper.make_opsetid("org.example", 1)]
    yield "function", save(model_of([call], functions=[twice], opsets=example), folder, "function"), feeds

    unknown = helper.make_node("Frobnicate", ["x"], ["y"], domain="org.example", knob=3, words=["a", "b"],
                               table=constant, name="strange", doc_string="nobody knows it")
    model = model_of([unknown], opsets=example, ir=10)
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "newer", "field"
    model.graph.node[0].overload = "second"
    helper.set_model_props(model, {"key": "value"})
    yield "unknown_operator", save(model, folder, "unknown"), None

    types = [numpy_helper.from_array(np.array([1, 0, 1]).astype(kind), f"t_{np.dtype(kind).name}")
             for kind in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
                          "float32", "float64", "complex64", "complex128")]
    types += [helper.make_tensor(f"typed_{TensorProto.DataType.Name(kind)}", kind, [3], [1, 0, 1])
              for kind in (TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16,
                           TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32, TensorProto.INT64,
                           TensorProto.UINT64, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT,
                           TensorProto.DOUBLE, TensorProto.COMPLEX64, TensorProto.FLOAT8E4M3FN, TensorProto.INT4)]
    types += [helper.make_tensor("t_words", TensorProto.STRING, [2], [b"a", b"bc"])]
    yield "every_type", save(model_of([relu], types, opset=21, ir=10), folder, "types"), None


def main():
    program = sys.argv[1]
    data = sys.argv[2] if len(sys.argv) > 2 else os.path.join("..", "shared", "data")
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = list(real_models(data)) if os.path.isdir(data) else []
        if not cases:
            print(f"the real models are left out: {data} is not there")
        for name, path, feeds in cases:
            wrong = check(program, path, feeds, folder)
            print(f"{name}: {'; '.join(wrong) or 'equal'}")
            failures += bool(wrong)
        for name, path, feeds in made_models(folder):
            wrong = check(program, path, feeds, folder)
            print(f"{name}: {'; '.join(wrong) or 'equal'}")
            failures += bool(wrong)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
