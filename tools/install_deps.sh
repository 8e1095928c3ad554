#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what cleave is built and tested with, from Debian's packages. Does nothing when all is there.
#   build: gcc cmake ninja pkg-config; protobuf-c and onnx.proto (model files); OpenBLAS and LAPACKE (SVD, regression);
#          libjpeg-turbo and libpng (images); jansson (recipes are JSON); oneDNN (convolutions of training);
#          Open MPI (several processes share a job: of the two in Debian the one whose mpirun tells the others, by a signal
#          and a second before it ends them, that a rank is lost; the build does without it, too)
#   test:  cmocka; with "test" also clang, clang-format, the sanitizer runtime, ONNX's own test data, and Python with pip
#          for ONNX Runtime as the judge of what cleave writes; a cross compiler, libc and qemu for AArch64, on which the
#          NEON kernels are checked
set -eu
packages="gcc cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev libonnx-dev libopenblas-dev
liblapacke-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev libjansson-dev libcmocka-dev libdnnl-dev
libopenmpi-dev openmpi-bin"
if [ "${1:-}" = test ]; then
    packages="$packages clang clang-format libclang-rt-14-dev libonnx-testdata python3 python3-venv python3-pip
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
fi
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "cleave: installing$missing"
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
