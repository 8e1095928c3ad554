#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-format agrees with every C file; no trailing blanks, no tabs in C, no file over 1,000 lines or 1 MB.
set -eu
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || { echo "clang-format is not installed: skipped"; exit 77; }
files=$(find src include cli tests bench examples -name '*.[ch]' | sort)
status=0
# shellcheck disable=SC2086
clang-format --dry-run --Werror $files || status=1
for file in $files; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 1000 ] || { echo "$file: $lines lines, split it before 1000"; status=1; }
    head -1 "$file" | grep -q SPDX-License-Identifier || { echo "$file: no SPDX line"; status=1; }
done
big=$(find . -path ./build -prune -o -path './build-*' -prune -o -path ./.git -prune -o -type f -size +1024k -print)
[ -z "$big" ] || { echo "over 1 MB: $big"; status=1; }
exit $status
