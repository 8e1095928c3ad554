#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench_models.sh CLEAVE DATA [BUDGET]: compress the networks of DATA that are no CIFAR classifiers, without training, and say what is
# lost on pictures that the fits have not seen: accuracy and agreement of a classifier, relative error of the outputs of the others. BUDGET: macs=50% unless given.
set -eu
cleave=$1 data=$(realpath "$2") budget=${3:-macs=50%}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { grep -E "^(MACs|top-1)|relative_error|same_class|^cleave" "$1" || true; }

# every other picture of the ImageNet sample for the fits, the rest as the judge
awk -F'\t' -v d="$data/imagenet-sample" -v w="$work" '{ print d "/" $1 "\t" $2 > (w "/" (NR % 2 ? "fit" : "judge") ".lst") }' \
    "$data/imagenet-sample/labels.txt"
echo "== squeezenet1.1, $budget, $(wc -l <"$work/fit.lst") pictures to fit, $(wc -l <"$work/judge.lst") to judge"
"$cleave" compress "$data/models/squeezenet1.1.onnx" -o "$work/out.onnx" --calibration "$work/fit.lst" --preprocess caffe \
    --budget "$budget" --eval "$work/judge.lst" --quiet >"$work/log" 2>&1 || true
say "$work/log"

others=(
    "waifu2x_upconv_7_photo_scale2x imagenet-sample images-extra --preprocess unit --resize 142x142"
    "ultraface_version-slim-320 imagenet-sample faces --preprocess ultraface"
    "nanodet_m_320 imagenet-sample images-extra --preprocess nanodet"
)
for row in "${others[@]}"; do
    read -r model fit judge how <<<"$row"
    echo "== $model, $budget"
    # shellcheck disable=SC2086
    "$cleave" compress "$data/models/$model.onnx" -o "$work/out.onnx" --calibration "$data/$fit" --limit 200 $how \
        --budget "$budget" --quiet >"$work/log" 2>&1 || { say "$work/log"; continue; }
    say "$work/log"
    # shellcheck disable=SC2086
    "$cleave" eval "$work/out.onnx" --against "$data/models/$model.onnx" --data "$data/$judge" $how --no-check --quiet \
        --json "$work/eval.json" >"$work/log" 2>&1 || true
    say "$work/log"
    sed -n '/^outputs/,/^$/p' "$work/log"
done
