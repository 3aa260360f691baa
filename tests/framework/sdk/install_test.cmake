# cmake -D BUILD=... -D SOURCE=... -D FOLDER=... -D GENERATOR=... -D C_COMPILER=... -D CXX_COMPILER=...
#       -D SANITIZE=... -P install_test.cmake
# Installs the build into FOLDER, which is made anew, and follows a plugin author from there.
set(prefix ${FOLDER}/prefix)
set(program ${prefix}/bin/maskerade)

# run(COMMAND ...): ends the test when the command fails. A macro, so that OUTPUT_VARIABLE arrives.
macro(run)
  execute_process(${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endmacro()

# expect(TEXT OUTPUT): TEXT stands in OUTPUT.
function(expect text output)
  string(FIND "${output}" "${text}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "expected \"${text}\" in:\n${output}")
  endif()
endfunction()

# What only the libraries of the package need: an author of plugins may lack all of it.
foreach(package IN ITEMS Threads Eigen3 fmt Boost nlohmann_json PkgConfig yaml-cpp CUDAToolkit)
  list(APPEND without_libraries -D CMAKE_DISABLE_FIND_PACKAGE_${package}=ON)
endforeach()

# Builds the project in FOLDER, which makes a masker my_band, and loads it with the installed program in
# two ways. The project names no build type: the masker is optimised all the same.
function(build_and_load copy)
  run(COMMAND ${CMAKE_COMMAND} -S ${copy} -B ${copy}/build -G ${GENERATOR}
      -D CMAKE_PREFIX_PATH=${prefix} -D LANGUAGE=C -D MASKER_SOURCE=my_band.c
      -D CMAKE_C_COMPILER=${C_COMPILER} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
      ${without_libraries} --no-warn-unused-cli)
  run(COMMAND ${CMAKE_COMMAND} --build ${copy}/build)
  run(COMMAND ${program} list my_band --plugin ${copy}/build/my_band.so OUTPUT_VARIABLE named)
  expect("my_band: " "${named}")
  expect("${copy}/build/my_band.so" "${named}")
  run(COMMAND ${CMAKE_COMMAND} -E env MASKERADE_PLUGIN_PATH=${copy}/build ${program} list my_band
      OUTPUT_VARIABLE found)
  expect("${copy}/build/my_band.so" "${found}")
  expect(", optimised, NDEBUG\n" "${found}")
endfunction()

# Configures the project of the C masker with further OPTIONS and expects how it says it was built.
function(build_says says)
  set(copy ${FOLDER}/C)
  run(COMMAND ${CMAKE_COMMAND} -S ${copy} -B ${copy}/other -G ${GENERATOR} --fresh
      -D CMAKE_PREFIX_PATH=${prefix} -D LANGUAGE=C -D MASKER_SOURCE=my_band.c
      -D CMAKE_C_COMPILER=${C_COMPILER} ${ARGN} OUTPUT_QUIET)
  run(COMMAND ${CMAKE_COMMAND} --build ${copy}/other OUTPUT_QUIET)
  run(COMMAND ${program} list my_band --plugin ${copy}/other/my_band.so OUTPUT_VARIABLE named)
  expect("${says}\n" "${named}")
endfunction()

file(REMOVE_RECURSE ${FOLDER})
run(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET)

# The built-in maskers lie beside the installed program.
run(COMMAND ${program} list sink OUTPUT_VARIABLE sink)
expect("${prefix}/bin/plugins/sink.so" "${sink}")

# So do the presets.
run(COMMAND ${program} list streaming_llm OUTPUT_VARIABLE preset)
expect("arXiv:2309.17453" "${preset}")

# A new masker, as the program writes it, with its tests. Sanitizers make these take ten times as long.
run(COMMAND ${program} new masker my_band --out ${FOLDER} OUTPUT_VARIABLE next)
expect("-D CMAKE_PREFIX_PATH=${prefix}\n" "${next}")
build_and_load(${FOLDER}/my_band)
run(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${FOLDER}/my_band/build -N OUTPUT_VARIABLE tests)
expect("Test #1: my_band.check" "${tests}")
expect("Test #2: my_band.run" "${tests}")
if(NOT SANITIZE)
  run(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${FOLDER}/my_band/build --output-on-failure)
endif()

# A masker in C, in a project that has no other language.
file(READ ${SOURCE}/plugins/dilated_window/dilated_window.c text)
string(REPLACE dilated_window my_band text "${text}")
file(COPY ${SOURCE}/tests/framework/sdk/outside/CMakeLists.txt DESTINATION ${FOLDER}/C)
file(WRITE ${FOLDER}/C/my_band.c "${text}")
build_and_load(${FOLDER}/C)

# A project that says how to build is obeyed.
build_says(", not optimised" -D CMAKE_BUILD_TYPE=Debug)
build_says(", not optimised" -D CMAKE_C_FLAGS=-O0)
build_says(", optimised" -D CMAKE_BUILD_TYPE=RelWithDebInfo -D CMAKE_C_FLAGS_RELWITHDEBINFO=-O2)

# An experiment uses the plugin.
file(WRITE ${FOLDER}/band.yaml
     "name: band
workload: {source: {kind: gaussian}, query_heads: 1, query_len: 8, key_len: 512, head_dim: 16}
pipelines: {band: [{sink: 1}, {my_band: 32}]}
measure: {budget: 1ms}
")
run(COMMAND ${program} run ${FOLDER}/band.yaml --plugin ${FOLDER}/my_band/build/my_band.so)
file(REMOVE_RECURSE ${FOLDER})
