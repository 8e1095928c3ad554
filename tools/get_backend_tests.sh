#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetch the ONNX backend node tests into FOLDER (default build/backend), one folder a source:
#   debian   the package libonnx-testdata, when it is installed (onnx 1.12, operator sets up to 17)
#   1.x      wheels of the PyPI package onnx; each release ships the tests of its day as data, so that a choice of them
#            covers operator sets 7 to 22. Only the data are unpacked, nothing is installed or run.
# What is there already is not fetched again.
set -eu

folder=${1:-build/backend}
wheels="1.2.1 1.3.0 1.4.1 1.5.0 1.6.0 1.8.1 1.10.2 1.13.1 1.14.1 1.15.0 1.16.2 1.17.0"
debian=/usr/share/libonnx-testdata/data/node

mkdir -p "$folder"
if [ -d "$debian" ] && [ ! -e "$folder/debian" ]; then
    ln -s "$debian" "$folder/debian"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for version in $wheels; do
    [ -d "$folder/$version" ] && continue
    for python in 3.6 3.9; do # the oldest and the newest interpreters these releases have wheels for
        python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version $python \
            --platform manylinux1_x86_64 --platform manylinux2010_x86_64 --platform manylinux2014_x86_64 \
            --dest "$scratch" "onnx==$version" 2>"$scratch/log" && break
    done
    if ! ls "$scratch"/onnx-"$version"-*.whl >/dev/null 2>&1; then
        cat "$scratch/log" >&2
        echo "get_backend_tests: no wheel of onnx $version" >&2
        exit 1
    fi
    python3 - "$scratch"/onnx-"$version"-*.whl "$scratch/$version" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [n for n in wheel.namelist() if n.startswith("onnx/backend/test/data/node/")])
PYTHON
    mv "$scratch/$version/onnx/backend/test/data/node" "$folder/$version"
done
: >"$folder/.complete" # without it the test does not demand that all are there
echo "backend tests in $folder: $(ls "$folder" | tr '\n' ' ')"
