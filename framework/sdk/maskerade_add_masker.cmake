# maskerade_add_masker(NAME [REFERENCE] [SOURCES file ...] [CUDA file.cu ...]): builds the masker plugin
# NAME.so. Sources default to NAME.cpp beside the CMakeLists.txt that calls it. The plugin links nothing
# of Maskerade, exports one symbol, and lies in MASKERADE_PLUGIN_OUTPUT_DIRECTORY, when that is set.
# REFERENCE: it is the plain reference of the masker of that name, for `maskerade stress` to compare
# with, and lies in MASKERADE_REFERENCE_OUTPUT_DIRECTORY instead.
# CUDA: its device path, compiled where the language CUDA is enabled; the other sources then see
# MASKERADE_WITH_CUDA.
# It is optimised, and without assertions, unless the project says otherwise: by a build type, or by
# a -O of its own in the flags of its languages. With MASKERADE_MASKERS_ARE_BUILT_IN it says that it is
# a part of Maskerade's own project.
function(maskerade_add_masker name)
  cmake_parse_arguments(arg "REFERENCE" "" "SOURCES;CUDA" ${ARGN})
  set(kind PLUGIN)
  set(target maskerade_masker_${name})
  if(arg_REFERENCE)
    set(kind REFERENCE)
    set(target maskerade_reference_${name})
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES ${name}.cpp)
  endif()
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE maskerade::sdk)
  if(arg_CUDA AND CMAKE_CUDA_COMPILER AND NOT MASKERADE_HAS_CUDA STREQUAL "OFF")
    target_sources(${target} PRIVATE ${arg_CUDA})
    target_compile_definitions(${target} PRIVATE MASKERADE_WITH_CUDA)
    # CMake 3.25 knows no C++20 of nvcc 13. Sums round as on the CPU.
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-fmad=false>")
    set_target_properties(${target} PROPERTIES CUDA_VISIBILITY_PRESET hidden)
  endif()
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES AND NOT MSVC
     AND NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS} ${CMAKE_CUDA_FLAGS}" MATCHES "(^| )-O")
    target_compile_options(${target} PRIVATE -O3)
    target_compile_definitions(${target} PRIVATE NDEBUG)
  endif()
  if(MASKERADE_MASKERS_ARE_BUILT_IN)
    target_compile_definitions(${target} PRIVATE MASKERADE_BUILT_IN)
  endif()
  if(TARGET maskerade_options)
    target_link_libraries(${target} PRIVATE maskerade_options)
  endif()
  set_target_properties(
    ${target}
    PROPERTIES OUTPUT_NAME ${name}
               PREFIX ""
               C_VISIBILITY_PRESET hidden
               CXX_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON)
  set_property(GLOBAL APPEND PROPERTY MASKERADE_${kind}_TARGETS ${target})
  if(MASKERADE_${kind}_OUTPUT_DIRECTORY)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY
                                               ${MASKERADE_${kind}_OUTPUT_DIRECTORY})
  endif()
endfunction()

# maskerade_test_masker(NAME [EXPERIMENT file.yaml]): adds the tests NAME.check, which holds the masker
# of maskerade_add_masker(NAME) against every rule of the SDK, and NAME.run, which runs the
# experiment. For a project that has called enable_testing().
function(maskerade_test_masker name)
  cmake_parse_arguments(arg "" "EXPERIMENT" "" ${ARGN})
  set(program maskerade)  # the target, in Maskerade's own tree
  if(maskerade_PROGRAM)
    set(program ${maskerade_PROGRAM})
  endif()
  set(library $<TARGET_FILE:maskerade_masker_${name}>)
  add_test(NAME ${name}.check COMMAND ${program} check ${library})
  if(arg_EXPERIMENT)
    cmake_path(ABSOLUTE_PATH arg_EXPERIMENT BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    add_test(NAME ${name}.run COMMAND ${program} run ${arg_EXPERIMENT} --plugin ${library} --no-peaks)
  endif()
endfunction()
