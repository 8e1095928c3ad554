# SPDX-License-Identifier: Apache-2.0
# Toolchain file: AArch64 by Debian's cross compiler (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross). Programs run under
# qemu's oldest ARMv8 processor, so an instruction that is not in ARMv8.0 faults.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
find_program(CLV_QEMU NAMES qemu-aarch64 qemu-aarch64-static)
if(CLV_QEMU)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${CLV_QEMU} -cpu cortex-a53 -L /usr/aarch64-linux-gnu)
endif()
