#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_rt_size.sh LIBRARY BYTES: is the inference library small enough, without symbols?
set -eu
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
strip -o "$copy" "$1"
size=$(stat -c %s "$copy")
echo "$1: $size bytes stripped, at most $2 allowed"
[ "$size" -le "$2" ]
