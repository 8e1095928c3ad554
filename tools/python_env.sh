#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python_env.sh FOLDER: a virtual environment with ONNX Runtime and onnx, the judges of what cleave writes. Kept when it is there.
set -eu
folder=${1:-build/python}
[ -x "$folder/bin/python" ] && "$folder/bin/python" -c 'import onnx, onnxruntime, numpy' 2>/dev/null && exit 0
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numpy onnx onnxruntime pillow
