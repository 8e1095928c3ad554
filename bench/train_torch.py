#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""train_torch.py BENCH MODEL.onnx BATCH STEPS ROUNDS: training steps of ResNet-20 by torch (CPU) and by bench_train_step,
alternating on this machine; images per second of each round, medians and the ratio."""
import statistics
import subprocess
import sys

TORCH = """
import resource, sys, time, torch, torch.nn as nn, torch.nn.functional as F
class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.a, self.n = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        self.b, self.m = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.s, self.pad = s, (o - i) // 2
    def forward(self, x):
        y = self.m(self.b(F.relu(self.n(self.a(x)))))
        if self.s > 1: x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)
net = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1),
    Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(64, 10))
batch, steps, last = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == 'last'
x, t = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
if last: net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
opt = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
for s in range(-3, steps):
    if s == 0: began = time.monotonic()
    opt.zero_grad(); F.cross_entropy(net(x), t).backward(); opt.step()
print(batch * steps / (time.monotonic() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def main():
    bench, model, batch, steps, rounds = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
    rates = {"cleave": [], "torch": [], "torch channels_last": []}
    for _ in range(rounds):
        text = subprocess.run([bench, model, batch, steps], capture_output=True, text=True, check=True).stdout
        rates["cleave"].append(float(text.split()[0]))
        for name, layout in (("torch", "first"), ("torch channels_last", "last")):
            out = subprocess.run([sys.executable, "-c", TORCH, batch, steps, layout], capture_output=True, text=True, check=True)
            rate, peak = out.stdout.split()
            rates[name].append(float(rate))
            print(f"{name}: peak {peak} MB")
        print(text.strip())
    for name, values in rates.items():
        print(f"{name}: median {statistics.median(values):.0f}, {min(values):.0f} to {max(values):.0f} images/s")
    best = max(statistics.median(rates["torch"]), statistics.median(rates["torch channels_last"]))
    print(f"ratio to the faster torch: {statistics.median(rates['cleave']) / best:.2f}")


main()
