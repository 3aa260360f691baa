# cmake -D BUILD=... -D EXAMPLES=... -D FOLDER=... -D GENERATOR=... -D CXX_COMPILER=...
#       -D SANITIZE=... -P examples_test.cmake
# Installs the build into FOLDER, which is made anew, builds the examples with nothing of Maskerade
# but the installed package, and checks what they print.
set(prefix ${FOLDER}/prefix)
# Libraries that were built with a sanitizer need its run-time library.
set(flags "")
if(SANITIZE)
  set(flags -fsanitize=${SANITIZE})
endif()

# expect(NAME PATTERN): the example NAME has under 40 lines, builds, and prints a line like PATTERN.
function(expect name pattern)
  file(READ ${EXAMPLES}/${name}/main.cpp text)
  string(REGEX MATCHALL "\n" line_ends "${text}")
  list(LENGTH line_ends line_count)
  if(NOT line_count LESS 40)
    message(FATAL_ERROR "the example ${name} has ${line_count} lines; it should have under 40")
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${EXAMPLES}/${name} -B ${FOLDER}/${name} -G ${GENERATOR}
            -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
            -D CMAKE_CXX_FLAGS=${flags} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${FOLDER}/${name} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${FOLDER}/${name}/${name} OUTPUT_VARIABLE printed
                  COMMAND_ERROR_IS_FATAL ANY)
  if(NOT printed MATCHES "^${pattern}\n$")
    message(FATAL_ERROR "the example ${name} should print ${pattern}; it printed:\n${printed}")
  endif()
endfunction()

file(REMOVE_RECURSE ${FOLDER})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET
                COMMAND_ERROR_IS_FATAL ANY)
# Of row p 4 first keys, 32 last ones and 12 more, as far as it sees so many: 11160 of 32896.
expect(masks "density 0\\.339251")
# 29 keys with logits near 0: lse is near ln 29. The error is that of float32.
expect(outputs
       "out -?0\\.0[0-9]+ \\.\\.\\. lse 3\\.3(19|20)[0-9] error [0-9]\\.[0-9]e-(0[6-9]|1[0-9])")
file(REMOVE_RECURSE ${FOLDER})
