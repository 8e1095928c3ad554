#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shared libraries export clv_* alone, and the small one needs neither BLAS nor image libraries.
# usage: test_libraries.sh LIBCLEAVE.so LIBCLEAVE-RT.so
set -eu
status=0
for library in "$1" "$2"; do
    names=$(nm -D --defined-only "$library" | awk '$2 ~ /[TDBRVW]/ { print $3 }' | grep -v '^clv_' || true)
    if [ -n "$names" ]; then
        printf '%s exports more than clv_*:\n%s\n' "$library" "$names"
        status=1
    fi
    [ "$(nm -D --defined-only "$library" | grep -c ' T clv_')" -gt 10 ] || { echo "$library exports nothing"; status=1; }
done
needed=$(readelf -d "$2" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
for name in $needed; do
    case $name in
    libc.so.* | libm.so.* | libpthread.so.* | libprotobuf-c.so.* | ld-linux*) ;;
    libasan.so.* | libubsan.so.* | libtsan.so.* | libgcc_s.so.* | libdl.so.* | librt.so.*) ;; # sanitizers
    *)
        echo "$2 needs $name"
        status=1
        ;;
    esac
done
exit $status
