# cmake -D CHECK=... -D FOLDER=... -P planted_includes.cmake
# Builds a small house in FOLDER, which CHECK (check_includes.cmake) must find in order, then plants
# one forbidden include of each kind, each of which it must find.
cmake_minimum_required(VERSION 3.25)

# write(FILE INCLUDE...): a file of the house that includes these.
function(write file)
  set(text "#pragma once\n")
  foreach(include IN LISTS ARGN)
    string(APPEND text "#include \"${include}\"\n")
  endforeach()
  file(WRITE ${FOLDER}/${file} "${text}")
endfunction()

function(build_house)
  file(REMOVE_RECURSE ${FOLDER})
  foreach(room IN ITEMS framework/sdk framework/low framework/hidden framework/high framework/absent
                        attention experiments/run maskers tests)
    file(WRITE ${FOLDER}/${room}/CMakeLists.txt "")
  endforeach()
  write(framework/sdk/sdk.h)
  write(framework/low/low.hpp "framework/sdk/sdk.h" "vector")
  write(framework/low/low.cpp "framework/low/low.hpp" "framework/low/detail/inside.hpp")
  write(framework/low/detail/inside.hpp)
  write(framework/high/high.hpp "framework/low/low.hpp")
  write(framework/high/high.cpp "framework/high/high.hpp" "framework/hidden/hidden.hpp")
  write(framework/hidden/hidden.hpp)
  write(framework/absent/absent.hpp "experiments.h") # no target here; not of this tree
  write(attention/attend.cpp "framework/high/high.hpp" "framework/low/low.hpp"
        "framework/absent/absent.hpp")
  write(attention/attend.hpp)
  write(experiments/run/run.cpp "attention/attend.hpp" "framework/low/low.hpp" "run.hpp")
  write(experiments/run/run.hpp)
  write(maskers/one/one.cpp "framework/sdk/sdk.h" "maskers/one/part.hpp")
  write(maskers/one/part.hpp)
  write(maskers/two/two.cpp "framework/sdk/sdk.h")
  write(tests/low_test.cpp "framework/low/detail/inside.hpp" "tests/problem.hpp")
  write(tests/problem.hpp)
  file(WRITE ${FOLDER}/rooms.cmake [[
set(rooms sdk low hidden high attention run one two)
set(sdk_folder framework/sdk)
set(low_folder framework/low)
set(low_sources framework/low/low.cpp)
set(low_links sdk)
set(low_passes_on sdk)
set(hidden_folder framework/hidden)
set(high_folder framework/high)
set(high_sources framework/high/high.cpp)
set(high_links low hidden)
set(high_passes_on low)
set(attention_folder attention)
set(attention_sources attention/attend.cpp)
set(attention_links high)
set(attention_passes_on high)
set(run_folder experiments/run)
set(run_sources experiments/run/run.cpp)
set(run_links attention)
set(run_passes_on attention)
set(one_folder maskers)
set(one_sources maskers/one/one.cpp)
set(one_links sdk)
set(one_passes_on sdk)
set(two_folder maskers)
set(two_sources maskers/two/two.cpp)
set(two_links sdk)
set(two_passes_on sdk)
]])
endfunction()

function(check_house exit_code output)
  execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${FOLDER} -D ROOMS=${FOLDER}/rooms.cmake
                          -P ${CHECK} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  set(${exit_code} ${code} PARENT_SCOPE)
  set(${output} "${out}${err}" PARENT_SCOPE)
endfunction()

build_house()
check_house(code output)
if(NOT code EQUAL 0 OR NOT output MATCHES "includes of [0-9]+ files are as they must be")
  message(FATAL_ERROR "the house is in order, and the check says:\n${output}")
endif()

# plant(FILE INCLUDE REASON): with this include as its last one, and no other, FILE is found.
function(plant file include reason)
  build_house()
  file(STRINGS ${FOLDER}/${file} lines)
  list(LENGTH lines line)
  math(EXPR line "${line} + 1")
  file(APPEND ${FOLDER}/${file} "#include \"${include}\"\n")
  check_house(code output)
  set(expected "${file}:${line}: includes \"${include}\", but ${reason}\n")
  string(FIND "${output}" "${expected}" place)
  if(code EQUAL 0 OR place EQUAL -1 OR NOT output MATCHES "1 of [0-9]+ includes point where")
    message(FATAL_ERROR "expected exactly this finding:\n${expected}and the check says:\n${output}")
  endif()
endfunction()

# Rooms.
plant(framework/low/low.cpp framework/high/high.hpp "low does not link high")
plant(framework/low/detail/inside.hpp framework/high/high.hpp "low does not link high")
plant(framework/high/high.hpp framework/hidden/hidden.hpp
      "high does not link hidden for those who include its headers (LINK, not LINK_PRIVATE)")
plant(attention/attend.cpp framework/hidden/hidden.hpp "attention does not link hidden")
# Floors.
plant(framework/high/high.cpp attention/attend.hpp
      "framework/ includes nothing from attention/, which lies above it")
plant(framework/low/low.hpp experiments/run/run.hpp
      "framework/ includes nothing from experiments/, which lies above it")
plant(attention/attend.hpp experiments/run/run.hpp
      "attention/ includes nothing from experiments/, which lies above it")
plant(experiments/run/run.cpp tests/problem.hpp
      "experiments/ includes nothing from tests/, which lies above it")
plant(framework/sdk/sdk.h framework/low/low.hpp "framework/sdk/ includes nothing but itself")
plant(maskers/one/one.cpp framework/low/low.hpp
      "what lies in maskers/ includes from framework/sdk/ alone")
plant(maskers/two/two.cpp maskers/one/part.hpp
      "nobody includes from maskers/: maskers come in through the loader")
plant(experiments/run/run.cpp maskers/one/part.hpp
      "nobody includes from maskers/: maskers come in through the loader")
plant(tests/low_test.cpp maskers/one/part.hpp
      "nobody includes from maskers/: maskers come in through the loader")
# detail/.
plant(framework/high/high.cpp framework/low/detail/inside.hpp
      "framework/low/detail/ is private to framework/low/")
file(REMOVE_RECURSE ${FOLDER})
