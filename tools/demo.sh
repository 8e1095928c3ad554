#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh CLEAVE: the main job on the built-in network, on pictures that are drawn; README.md has the same command. ONNX Runtime is timed,
# too, where tools/python_env.sh has made build/python (make test does).
set -eu
cd "$(dirname "$0")/.."
python=$PWD/build/python/bin/python
if [ -x "$python" ]; then export CLEAVE_PYTHON="$python"; fi
set -x
"$1" compress examples/shapes/resnet.onnx -o demo.onnx --calibration "builtin:shapes?n=16000&seed=1" --limit 1000 --samples 8192 \
    --form bottleneck --budget macs=33% --heal-steps 600 --heal-rate 3e-3 --eval "builtin:shapes?n=4000&seed=2" --bench --report demo.md
