#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench_memory.sh CLEAVE MODEL CALIBRATION PREPROCESS N ...: peak memory and time of `compress` for each number of images.
set -eu
cleave=$1 model=$2 calibration=$3 preprocess=$4
shift 4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for images; do
    printf '%s images: ' "$images"
    "$cleave" compress "$model" -o "$out/small.onnx" --calibration "$calibration" --limit "$images" --preprocess "$preprocess" \
        --quiet >"$out/text"
    awk '/peak_memory_mib/ {m = $2} /statistics:/ {s = $2} / fit:/ {f = $2}
         END {printf "peak %s MiB, statistics %s s, fit %s s\n", m, s, f}' "$out/text"
done
