# SPDX-License-Identifier: Apache-2.0
# A room is one folder of src/: an object library clvi_<room> with the project's flags.

add_compile_definitions(_POSIX_C_SOURCE=200809L)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -Wundef -ffp-contract=off -fno-math-errno)
if(CLV_WERROR)
    add_compile_options(-Werror)
endif()
if(CLV_SANITIZE)
    add_compile_options(-fsanitize=${CLV_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${CLV_SANITIZE})
endif()

if(CLV_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link) # coverage, for the targets of tests/fuzz
endif()

# Flags by file suffix: only these files are compiled beyond the baseline instruction set.
set(CLV_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(CLV_FLAGS_avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl)

# Those files inline one body for many constant sizes. Checked pointer by pointer in place, each would cost clang a minute and
# gigabytes: there ASan checks by calls (src/kernels/x86/asan_calls.c), and UBSan leaves out the pointer checks that ASan makes
# anyway.
if(CLV_SANITIZE MATCHES address AND CMAKE_C_COMPILER_ID MATCHES Clang)
    set(CLV_FLAGS_sanitize -mllvm -asan-instrumentation-with-call-threshold=50
                           -mllvm -asan-memory-access-callback-prefix=clvk_asan_
                           -fno-sanitize=pointer-overflow,null,alignment,object-size)
endif()

function(clv_room name)
    add_library(clvi_${name} OBJECT ${ARGN})
    target_include_directories(clvi_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    foreach(file ${ARGN})
        foreach(isa avx2 avx512)
            if(file MATCHES "_${isa}\\.c$")
                set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
                                            "${CLV_FLAGS_${isa}};${CLV_FLAGS_sanitize}")
            endif()
        endforeach()
    endforeach()
endfunction()

# Rooms that run once per model, when it is loaded and planned: compiled for size, which libcleave-rt has little of.
function(clv_small)
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        foreach(name ${ARGN})
            target_compile_options(clvi_${name} PRIVATE -Os)
        endforeach()
    endif()
endfunction()

# clv_test(name SOURCES a.c ROOMS base graph LABELS check TIMEOUT s): one cmocka program, one ctest, made of
# the rooms it names and no others.
function(clv_test name)
    cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;ROOMS;LABELS;ARGS" ${ARGN})
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 900)
    endif()
    add_executable(${name} ${T_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/tests)
    foreach(room ${T_ROOMS})
        target_link_libraries(${name} PRIVATE clvi_${room})
        if(CLV_LIBS_${room})
            target_link_libraries(${name} PRIVATE ${CLV_LIBS_${room}})
        endif()
    endforeach()
    if(TARGET PkgConfig::CMOCKA)
        target_link_libraries(${name} PRIVATE PkgConfig::CMOCKA)
    endif()
    target_link_libraries(${name} PRIVATE Threads::Threads m)
    add_test(NAME ${name} COMMAND ${name} ${T_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}" SKIP_RETURN_CODE 77)
endfunction()
