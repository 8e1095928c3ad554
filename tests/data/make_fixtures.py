#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/fixtures/: what Pillow, torchvision and NumPy do, for the C code to be compared with.

Made with Pillow 9.4.0, torchvision 0.14.1, torch 1.13.0, NumPy 1.24.2 (Debian 12). Run in this folder; nothing is random
but for fixed seeds.
"""
import io
import os

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


def picture(h, w, seed):
    """Smooth waves, an edge and noise: [h, w, 3] uint8."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:h, 0:w]
    planes = [127 + 90 * np.sin(x / (3 + c) + y / (5 - c)) + 30 * ((x + y) % 19 < 9) for c in range(3)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 12, (h, w, 3)), 0, 255).astype(np.uint8)


def resize():
    a = picture(23, 31, 1)
    arrays = {"input": a}
    for h, w in [(15, 11), (34, 40), (7, 31), (23, 6), (1, 1), (2, 60), (22, 32)]:
        arrays[f"pil_{h}x{w}"] = np.asarray(Image.fromarray(a).resize((w, h), Image.BILINEAR))
        t = torch.from_numpy(a.astype(np.float64).transpose(2, 0, 1)[None])
        if h * w < 600:
            plain = torch.nn.functional.interpolate(t, size=(h, w), mode="bilinear", align_corners=False)
            arrays[f"plain_{h}x{w}"] = plain[0].numpy().transpose(1, 2, 0).astype(np.float32)
    np.savez_compressed(os.path.join(OUT, "resize.npz"), **arrays)


def torchvision():
    arrays = {}
    cases = [(21, 37, 13, 10, 10), (37, 21, 13, 9, 12), (11, 17, 14, 11, 11), (14, 15, 0, 11, 12), (14, 17, 0, 11, 10),
             (10, 13, 7, 12, 9), (7, 5, 0, 9, 9), (7, 25, 0, 10, 11), (9, 8, 15, 0, 0)]
    for i, (h, w, size, ch, cw) in enumerate(cases):
        a = picture(h, w, 10 + i)
        steps = [transforms.Resize(size)] if size else []
        steps += [transforms.CenterCrop((ch, cw))] if cw else []
        arrays[f"in{i}"] = a
        arrays[f"case{i}"] = np.array([size, ch if cw else 0, cw], np.int32)
        arrays[f"out{i}"] = np.asarray(transforms.Compose(steps)(Image.fromarray(a)))
    np.savez_compressed(os.path.join(OUT, "torchvision.npz"), **arrays)


def images():
    a = picture(11, 18, 3)
    rgb, alpha = Image.fromarray(a), Image.fromarray(np.dstack([a, 255 - a[..., :1]]))
    sixteen = Image.fromarray((a[..., 0].astype(np.uint16) << 8) | 77)
    made = {
        "grey.png": rgb.convert("L"), "bit.png": rgb.convert("1"), "palette.png": rgb.convert("P"),
        "two_bits.png": rgb.quantize(4), "rgba.png": alpha, "la.png": alpha.convert("LA"), "grey16.png": sixteen,
        "grey.jpg": rgb.convert("L"), "cmyk.jpg": rgb.convert("CMYK"), "progressive.jpg": rgb,
        "s420.jpg": rgb, "s444.jpg": rgb,
    }
    options = {"progressive.jpg": dict(progressive=True), "s420.jpg": dict(subsampling=2), "s444.jpg": dict(subsampling=0)}
    expected = {}
    for name, image in made.items():
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", **options.get(name, {}))
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(buffer.getvalue())
        if name == "grey16.png":
            expected[name] = np.repeat(a[..., :1], 3, -1)
        else:
            expected[name] = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    np.savez_compressed(os.path.join(OUT, "images.npz"), **{k.replace(".", "_"): v for k, v in expected.items()})


def data_set():
    """A compressed set: picture k, pixel (y, x, c) is 31k + 7y + 3x + 50c, as fixture.c's picture_value."""
    k, y, x, c = np.mgrid[0:3, 0:4, 0:6, 0:3]
    images = (31 * k + 7 * y + 3 * x + 50 * c).astype(np.uint8)
    np.savez_compressed(os.path.join(OUT, "set.npz"), images=images, labels=np.array([[2], [0], [1]], np.uint16))


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    resize()
    torchvision()
    images()
    data_set()
