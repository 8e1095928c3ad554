# SPDX-License-Identifier: Apache-2.0
# What each room links: CLV_LIBS_<room>. A room that is not named here needs libc and threads alone.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
if(CLV_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
find_program(PROTOC_C protoc-c REQUIRED)
find_path(ONNX_PROTO_DIR onnx/onnx.proto REQUIRED)

set(CLV_LIBS_onnx PkgConfig::PROTOBUF_C)
set(CLV_LIBS_linalg PkgConfig::LAPACKE PkgConfig::OPENBLAS)
set(CLV_LIBS_data PkgConfig::JPEG PkgConfig::PNG PkgConfig::ZLIB)
set(CLV_LIBS_compress PkgConfig::JANSSON)
set(CLV_LIBS_train ${DNNL_LIBRARY} gomp) # Debian's oneDNN runs on libgomp, whose threads are turned off

# Optional, and in a module of its own that is loaded under mpirun alone.
if(CLV_MPI)
    find_package(MPI COMPONENTS C QUIET)
    if(NOT MPI_C_FOUND)
        message(STATUS "MPI is not found: work cannot be shared between ranks")
        set(CLV_MPI OFF)
    endif()
endif()
set(CLV_LIBS_ranks ${CMAKE_DL_LIBS})
