#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_install.sh BUILD SOURCE: what a user of the installed libraries does.
set -eu
build=$1 source=$2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >/dev/null
libdir=$(dirname "$(find "$prefix" -name 'cleave-rt.pc')")
PKG_CONFIG_PATH=$libdir
LD_LIBRARY_PATH=$(dirname "$libdir")
export PKG_CONFIG_PATH LD_LIBRARY_PATH

"$prefix/bin/cleave" --version
"$prefix/bin/cleave" new resnet20 -o "$prefix/net.onnx" --quiet >/dev/null
CLEAVE_PYTHON=$prefix/no-python "$prefix/bin/cleave" bench "$prefix/net.onnx" --against onnxruntime >/dev/null 2>"$prefix/err" && exit 1
grep -q no-python "$prefix/err" || { echo "the installed script for other engines was not found"; cat "$prefix/err"; exit 1; }
for pair in run:cleave-rt compress:cleave; do
    example=${pair%:*} library=${pair#*:}
    # shellcheck disable=SC2046
    cc -std=c11 "$source/examples/$example.c" -o "$prefix/$example" $(pkg-config --define-variable=prefix="$prefix" --cflags --libs "$library")
    "$prefix/$example" >/dev/null 2>&1 && { echo "example $example did not ask for its arguments"; exit 1; }
    ldd "$prefix/$example" | grep -q "lib$library.so" || { echo "example $example is not linked with $library"; exit 1; }
done

mkdir "$prefix/project"
cat >"$prefix/project/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(cleave REQUIRED)
add_executable(user $source/examples/run.c)
target_link_libraries(user PRIVATE cleave::cleave_rt)
EOF
cmake -S "$prefix/project" -B "$prefix/project/build" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$prefix/project/build" >/dev/null
echo "installed, linked with pkg-config and with find_package"
