#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone as C11 and as C++; every internal header compiles alone as C11.
set -eu
cd "$(dirname "$0")/.."
cc=${CC:-cc} cxx=${CXX:-c++}
status=0
for header in include/cleave/*.h; do
    name=${header#include/}
    echo "#include \"$name\"" | $cc -std=c11 -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c - || status=1
    if command -v "$cxx" >/dev/null; then
        echo "#include \"$name\"" | $cxx -std=c++11 -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ - || status=1
    fi
done
generated=$(mktemp -d) # onnx.pb-c.h, which one internal header includes
trap 'rm -rf "$generated"' EXIT
protoc-c -I/usr/include --c_out="$generated" onnx/onnx.proto
# Lists are read several times, by others; NEON's intrinsics are another processor's.
for header in $(find src -name '*.h' ! -name '*_list.h' ! -name '*_neon.h' | sort); do
    echo "#include \"${header#src/}\"" |
        $cc -std=c11 -D_POSIX_C_SOURCE=200809L -Isrc -Iinclude -isystem "$generated" -Wall -Wextra -Werror -fsyntax-only -x c - || status=1
done
exit $status
