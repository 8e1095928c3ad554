#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_models.py CLEAVE DATA [--budget macs=50%] [--only NAME] [--keep FOLDER]: compress the networks of DATA that are no CIFAR
classifiers, without training, and say what is lost on pictures that the fits have not seen. ONNX Runtime is the judge.

squeezenet1.1   fitted on every other picture of the ImageNet sample, judged on the rest: top-1, and agreement with the original
waifu2x         PSNR against the picture that was halved, and against what the original makes of it
ultraface       faces found by the original (score over 0.7) that are found again at an overlap of half, and new ones
nanodet_m       the same for its 80 classes (score over 0.35, the class must agree)

--keep: the compressed networks and their statistics stay there, and are used again by the next run."""
import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import onnxruntime
from PIL import Image

MODELS = {  # name: file, pictures to fit, options
    "squeezenet": ("squeezenet1.1", None, ["--preprocess", "caffe"]),
    "waifu2x": ("waifu2x_upconv_7_photo_scale2x", "imagenet-sample", ["--preprocess", "unit", "--resize", "142x142", "--limit", "100"]),
    "ultraface": ("ultraface_version-slim-320", "imagenet-sample", ["--preprocess", "ultraface", "--limit", "200"]),
    "nanodet": ("nanodet_m_320", "imagenet-sample", ["--preprocess", "nanodet", "--limit", "200"]),
}


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(model, x):
    return model.run(None, {model.get_inputs()[0].name: np.ascontiguousarray(x, np.float32)[None]})


def pictures(folder):
    for path in sorted(folder.glob("*.jpg")):
        yield Image.open(path).convert("RGB")


# --- super-resolution


def psnr(a, b):
    return 10 * np.log10(1 / np.mean((np.clip(a, 0, 1) - np.clip(b, 0, 1)) ** 2))


def judge_waifu2x(before, after, data):
    rows = []
    for picture in pictures(data / "images-extra"):
        side = min(picture.size) // 2 * 2
        side = min(side, 384)
        left, top = (picture.size[0] - side) // 2, (picture.size[1] - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        small = picture.resize((side // 2, side // 2), Image.BICUBIC)
        truth, x = [np.asarray(p, np.float32).transpose(2, 0, 1) / 255 for p in (picture, small)]
        x = np.pad(x, ((0, 0), (7, 7), (7, 7)), mode="edge")
        a, b = run(before, x)[0][0], run(after, x)[0][0]
        rows.append((psnr(a, truth), psnr(b, truth), psnr(b, a)))
    was, now, own = np.array(rows).T
    print(f"PSNR to the truth  {was.mean():.2f} dB -> {now.mean():.2f} dB ({(now - was).mean():+.3f}, worst {(now - was).min():+.3f})")
    print(f"PSNR to its own original  mean {own.mean():.2f} dB, worst {own.min():.2f} dB, {len(rows)} pictures")


# --- detection


def overlap(a, b):
    w = np.minimum(a[2], b[:, 2]) - np.maximum(a[0], b[:, 0])
    h = np.minimum(a[3], b[:, 3]) - np.maximum(a[1], b[:, 1])
    both = np.clip(w, 0, None) * np.clip(h, 0, None)
    area = lambda r: (r[..., 2] - r[..., 0]) * (r[..., 3] - r[..., 1])
    return both / np.maximum(area(a) + area(b) - both, 1e-9)


def suppress(boxes, scores, limit):
    kept, order = [], np.argsort(-scores)
    while len(order):
        kept.append(order[0])
        order = order[1:][overlap(boxes[order[0]], boxes[order[1:]]) < limit]
    return kept


def faces(outputs):
    scores, boxes = outputs[0][0][:, 1], outputs[1][0]
    found = scores > 0.7
    boxes, scores = boxes[found], scores[found]
    kept = suppress(boxes, scores, 0.3)
    return boxes[kept], np.zeros(len(kept), int)


def objects(outputs):
    boxes, scores = [], []
    for stride, (score, spread) in zip((8, 16, 32), zip(outputs[::2], outputs[1::2])):
        side = 320 // stride
        p = np.exp(spread[0].reshape(-1, 4, 8) - spread[0].reshape(-1, 4, 8).max(2, keepdims=True))
        reach = (p / p.sum(2, keepdims=True) * np.arange(8)).sum(2) * stride  # left, top, right, bottom
        y, x = np.divmod(np.arange(side * side), side)
        cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
        boxes.append(np.stack([cx - reach[:, 0], cy - reach[:, 1], cx + reach[:, 2], cy + reach[:, 3]], 1))
        scores.append(score[0])
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    kinds, best = scores.argmax(1), scores.max(1)
    found = [], []
    for kind in np.unique(kinds[best > 0.35]):
        own = np.flatnonzero((best > 0.35) & (kinds == kind))
        for i in suppress(boxes[own], best[own], 0.6):
            found[0].append(boxes[own[i]])
            found[1].append(kind)
    return np.array(found[0]).reshape(-1, 4), np.array(found[1], int)


def face_input(picture):
    return (np.asarray(picture.resize((320, 240), Image.BILINEAR), np.float32).transpose(2, 0, 1) - 127) / 128


def object_input(picture):
    factor = 320 / max(picture.size)
    picture = picture.resize((round(picture.size[0] * factor), round(picture.size[1] * factor)), Image.BILINEAR)
    x = np.zeros((320, 320, 3), np.float32)
    x[: picture.size[1], : picture.size[0]] = np.asarray(picture)[:, :, ::-1]
    return ((x - (103.53, 116.28, 123.675)) * (0.017429, 0.017507, 0.017125)).transpose(2, 0, 1)


def judge_detector(before, after, folders, to_input, detect):
    was = now = matched = 0
    error = scale = 0.0
    for folder in folders:
        for picture in pictures(folder):
            x = to_input(picture)
            a, b = run(before, x), run(after, x)
            error += sum(float(((p - q) ** 2).sum()) for p, q in zip(a, b))
            scale += sum(float((p**2).sum()) for p in a)
            (boxes, kinds), (others, their) = detect(a), detect(b)
            free = np.ones(len(others), bool)
            for box, kind in zip(boxes, kinds):
                fits = np.where(free & (their == kind), overlap(box, others), 0) if len(others) else np.zeros(0)
                if len(fits) and fits.max() >= 0.5:
                    free[fits.argmax()] = False
                    matched += 1
            was, now = was + len(boxes), now + len(others)
    print(f"detections  {was} -> {now}, of which {matched} are the original's ({100 * matched / max(was, 1):.1f} %), {now - matched} new")
    print(f"relative error of the outputs  {(error / scale) ** 0.5:.4f}")


JUDGES = {
    "waifu2x": lambda a, b, d: judge_waifu2x(a, b, d),
    "ultraface": lambda a, b, d: judge_detector(a, b, [d / "faces"], face_input, faces),
    "nanodet": lambda a, b, d: judge_detector(a, b, [d / "images-extra", d / "faces"], object_input, objects),
}


# --- compression


def lists(data, work):
    """Every other picture for the fits, the rest as the judge, with their classes."""
    rows = [line.split("\t") for line in (data / "imagenet-sample" / "labels.txt").read_text().splitlines()]
    for name, first in (("fit", 0), ("judge", 1)):
        text = "".join(f"{data / 'imagenet-sample' / row[0]}\t{row[1]}\n" for row in rows[first::2])
        (work / f"{name}.lst").write_text(text)
    return work / "fit.lst", work / "judge.lst"


def compress(cleave, data, work, name, budget):
    model, fit, options = MODELS[name]
    out = work / f"{name}.onnx"
    extra = []
    if fit is None:
        fit, judge = lists(data, work)
        extra = ["--eval", judge]
    else:
        fit = data / fit
    command = [cleave, "compress", data / "models" / f"{model}.onnx", "-o", out, "--calibration", fit, "--budget", budget, "--stats",
               work / f"{name}.clvstats", "--quiet", *options, *extra]
    text = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        if line.startswith(("MACs", "top-1", "  same_class:", "  top1_change")):
            print(line.strip())
    return data / "models" / f"{model}.onnx", out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cleave")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--budget", default="macs=50%")
    parser.add_argument("--only", choices=sorted(MODELS))
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.keep or pathlib.Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        for name in [options.only] if options.only else MODELS:
            print(f"== {name}, {options.budget}", flush=True)
            before, after = compress(options.cleave, options.data.resolve(), work, name, options.budget)
            if name in JUDGES:
                JUDGES[name](session(before), session(after), options.data)


main()
