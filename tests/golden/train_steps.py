#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/train/steps.npy: ten training steps of a small network by torch (CPU), which test_train_steps
repeats. Run by hand with a Python that has torch and numpy: train_steps.py OUT.npy

One float32 vector: parameters at the start; images [8, 3, 8, 8]; labels; for AdamW and then for SGD with Nesterov
momentum: ten losses, the gradient of the first step, parameters and running statistics after ten steps."""
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS, SMOOTHING = 10, 0.1


class Net(torch.nn.Module):
    """The order of the parameters is the order in which the nodes of the C twin read them."""

    def __init__(self):
        super().__init__()
        self.c1 = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.n1 = torch.nn.BatchNorm2d(8)
        self.dw = torch.nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=8, bias=False)
        self.n2 = torch.nn.BatchNorm2d(16)
        self.pw = torch.nn.Conv2d(16, 8, 1)
        self.c2 = torch.nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False)
        self.n3 = torch.nn.BatchNorm2d(8)
        self.fc = torch.nn.Linear(8, 10)

    def forward(self, x):
        x = F.relu(self.n1(self.c1(x)))
        x = self.pw(F.hardswish(self.n2(self.dw(x))))
        x = F.relu(x + self.n3(self.c2(x)))
        x = F.max_pool2d(x, 2)
        return self.fc(x.mean((2, 3)))


def flat(tensors):
    return np.concatenate([t.detach().numpy().ravel() for t in tensors]).astype(np.float32)


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    net = Net()
    start = {k: v.clone() for k, v in net.state_dict().items()}
    x, labels = torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,))
    out = [flat(net.parameters()), x.numpy().ravel(), labels.numpy().astype(np.float32)]
    for kind in ("adamw", "nesterov"):
        net.load_state_dict(start)
        groups = [{"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": 0.01},
                  {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0}]
        optimiser = (torch.optim.AdamW(groups, lr=3e-3) if kind == "adamw" else
                     torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True))
        losses, first = [], None
        for step in range(STEPS):
            optimiser.zero_grad()
            loss = F.cross_entropy(net(x), labels, label_smoothing=SMOOTHING)
            loss.backward()
            if step == 0:
                first = flat([p.grad for p in net.parameters()])
            if kind == "nesterov":
                torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            losses.append(loss.item())
            optimiser.step()
        stats = [b for k, b in net.named_buffers() if not k.endswith("num_batches_tracked")]
        out += [np.array(losses, np.float32), first, flat(net.parameters()), flat(stats)]
    np.save(sys.argv[1], np.concatenate(out))


main()
