# SPDX-License-Identifier: Apache-2.0
# What needs libc and threads alone, for a processor whose libraries are not at hand: the rooms that run networks, the
# checker of kernels, and the tests of convolutions and of fused steps on a stand-in for cmocka.
find_package(Threads REQUIRED)
set(CLV_BARE_ROOMS base kernels graph ops runtime)
foreach(room ${CLV_BARE_ROOMS})
    add_subdirectory(src/${room})
endforeach()
if(CLV_TESTS)
    enable_testing()
    include_directories(tests/kernel/bare)
    add_subdirectory(tests/kernel)
    clv_test(test_runtime_fuse SOURCES tests/unit/test_runtime_fuse.c ROOMS ${CLV_BARE_ROOMS} LABELS check unit
             ARGS 12) # networks: an emulator is slow
endif()
