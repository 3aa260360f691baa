# maskerade_add_masker(NAME [SOURCES file ...]): builds the masker plugin NAME.so. Sources default to
# NAME.cpp beside the CMakeLists.txt that calls it. The plugin links nothing of Maskerade, exports one
# symbol, and lies in MASKERADE_PLUGIN_OUTPUT_DIRECTORY, when that is set.
function(maskerade_add_masker name)
  cmake_parse_arguments(arg "" "" "SOURCES" ${ARGN})
  if(NOT arg_SOURCES)
    set(arg_SOURCES ${name}.cpp)
  endif()
  set(target maskerade_masker_${name})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE maskerade::sdk)
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
  set_property(GLOBAL APPEND PROPERTY MASKERADE_PLUGIN_TARGETS ${target})
  if(MASKERADE_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY
                                               ${MASKERADE_PLUGIN_OUTPUT_DIRECTORY})
  endif()
endfunction()
