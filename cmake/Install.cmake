# SPDX-License-Identifier: Apache-2.0
# install(): both libraries, headers, the command, pkg-config files and find_package(cleave).
include(CMakePackageConfigHelpers)

install(TARGETS cleave_rt cleave
        EXPORT cleave-targets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS cleave_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(CLV_MPI)
    install(TARGETS cleave_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(FILES bench/rivals.py DESTINATION ${CMAKE_INSTALL_DATADIR}/cleave)
install(DIRECTORY include/cleave DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT cleave-targets NAMESPACE cleave:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cleave)
configure_package_config_file(cmake/cleave-config.cmake.in ${PROJECT_BINARY_DIR}/cleave-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cleave)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cleave-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cleave-config.cmake ${PROJECT_BINARY_DIR}/cleave-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/cleave)
foreach(library cleave cleave-rt)
    configure_file(cmake/${library}.pc.in ${PROJECT_BINARY_DIR}/${library}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${library}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
