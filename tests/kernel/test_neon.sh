#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_neon.sh SOURCE BUILD: the rooms that run networks are cross-compiled for AArch64, warnings as errors. Under qemu
# every kernel passes the checker, mutants are noticed, and the tests of convolutions and of fused steps pass at both
# levels, ref and neon. Where clang is, it must accept the NEON kernels too.
set -eu
source=$1 build=$2
missing=""
command -v aarch64-linux-gnu-gcc >/dev/null || missing="aarch64-linux-gnu-gcc"
command -v qemu-aarch64 >/dev/null || command -v qemu-aarch64-static >/dev/null || missing="$missing qemu-aarch64"
[ -d /usr/aarch64-linux-gnu/include ] || missing="$missing libc6-dev-arm64-cross"
if [ -n "$missing" ]; then
    echo "SKIPPED, nothing was checked for AArch64: not installed: $missing (tools/install_deps.sh test)"
    exit 77
fi
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$source/cmake/aarch64.cmake" -DCMAKE_BUILD_TYPE=Release \
    -DCLV_BARE=ON -DCLV_WERROR=ON >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build" >>"$build.log" 2>&1 || { tail -60 "$build.log"; exit 1; }
ctest --test-dir "$build" -E _random -j 2 --no-tests=error -V >"$build.log" 2>&1 || { tail -60 "$build.log"; exit 1; }

# What ran was NEON, all of it: one kernel for each row of the list.
rows=$(grep -c 'CLVI_CPU_NEON, ' "$source/src/kernels/kernel_list.h")
references=$(grep -c 'CLVI_CPU_REF, ' "$source/src/kernels/kernel_list.h")
grep -q "$((rows + references)) kernels up to neon" "$build.log" || { tail -60 "$build.log"; exit 1; }
[ "$rows" = "$references" ] || { echo "$references kernels have a reference, $rows are written for NEON"; exit 1; }
echo "$rows NEON kernels passed under qemu"

if command -v clang >/dev/null; then
    for file in "$source"/src/kernels/neon/*.c; do
        clang --target=aarch64-linux-gnu --sysroot=/ -isystem /usr/aarch64-linux-gnu/include -std=c11 -fsyntax-only -Wall -Wextra \
            -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wmissing-prototypes -Wvla -Wundef -Werror \
            -D_POSIX_C_SOURCE=200809L -I"$source/src" -I"$source/include" "$file"
    done
    echo "clang has no objection to them"
fi
