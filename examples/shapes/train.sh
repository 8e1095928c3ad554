#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How resnet.onnx was made, with cleave itself: four minutes on two idle cores.
exec "${CLEAVE:-cleave}" train --arch resnet8 --width 1.5 --data "builtin:shapes?n=16000&seed=1" --epochs 16 \
    --eval "builtin:shapes?n=4000&seed=2" -o "${1:-resnet.onnx}"
