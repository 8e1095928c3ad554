#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_symbols.sh LIBRARY.so ...: a shared library exports clv_* and nothing else; libcleave-rt links no BLAS, LAPACK or codec.
set -eu
status=0
for library; do
    foreign=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^clv_' | grep -v '^_\(init\|fini\)$' || true)
    [ -z "$foreign" ] || { echo "$library exports: $foreign"; status=1; }
    case $library in
    *cleave-rt*)
        needed=$(objdump -p "$library" | awk '/NEEDED/ {print $2}' | grep -v '^lib\(c\|m\|pthread\|protobuf-c\|asan\|ubsan\|tsan\)\.so' | grep -v '^ld-' || true)
        [ -z "$needed" ] || { echo "$library needs: $needed"; status=1; }
        ;;
    esac
done
exit $status
