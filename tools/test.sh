#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The README's test command: installs what the tests need, builds with gcc and clang (warnings are errors) and with ASan and
# UBSan, runs the whole suite in the sanitizer build and in the release build. Ends with ctest's summary.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc)
mkdir -p build
tools/install_deps.sh test
tools/python_env.sh build/python || echo "no ONNX Runtime: the tests that need it are skipped"
tools/get_backend_tests.sh build/backend || echo "no ONNX backend tests: skipped"
for preset in clang sanitize release; do
    echo "== $preset"
    cmake --preset $preset >build/$preset.log 2>&1 || { cat build/$preset.log; exit 1; }
    cmake --build --preset $preset -j "$jobs" >>build/$preset.log 2>&1 || { tail -60 build/$preset.log; exit 1; }
done
ctest --preset sanitize -j "$jobs" -LE lint
ctest --preset release -j "$jobs"
