# What `cmake --install` gives beside the program: the package that find_package(maskerade) finds.
# Without components it is all that a plugin needs; its components framework and attention add the
# static libraries. Headers keep their paths, so that "framework/sdk/masker.hpp" is included outside
# the tree as inside.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/maskerade)
install(DIRECTORY framework attention DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/maskerade
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "*.cuh" PATTERN detail EXCLUDE)
install(FILES framework/sdk/README.md
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/maskerade/framework/sdk)
install(EXPORT maskerade-sdk NAMESPACE maskerade:: DESTINATION ${package_folder})
install(EXPORT maskerade-libraries NAMESPACE maskerade:: DESTINATION ${package_folder})

# The package has the version of the ABI: a program takes plugins of its own or an older minor version.
include(CMakePackageConfigHelpers)
file(STRINGS framework/sdk/masker_abi.h abi_version REGEX "define MASKERADE_ABI_M(AJOR|INOR) [0-9]+u")
string(REGEX REPLACE ".*MAJOR ([0-9]+)u.*MINOR ([0-9]+)u.*" "\\1.\\2" abi_version "${abi_version}")
write_basic_package_version_file(maskerade-config-version.cmake VERSION ${abi_version}
                                 COMPATIBILITY SameMajorVersion)
set(MASKERADE_INSTALLED_PLUGINS ${CMAKE_INSTALL_BINDIR}/plugins)
set(MASKERADE_INSTALLED_PROGRAM ${CMAKE_INSTALL_BINDIR}/maskerade)
configure_package_config_file(framework/maskerade-config.cmake.in maskerade-config.cmake
                              INSTALL_DESTINATION ${package_folder}
                              PATH_VARS MASKERADE_INSTALLED_PLUGINS MASKERADE_INSTALLED_PROGRAM)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/maskerade-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/maskerade-config-version.cmake
              framework/sdk/maskerade_add_masker.cmake
        DESTINATION ${package_folder})
