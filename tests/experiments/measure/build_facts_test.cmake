# cmake -D GIT=... -D SCRIPT=... -D FOLDER=... -P build_facts_test.cmake
# What build_facts.cmake writes of a tree in FOLDER, which is made anew.
set(tree ${FOLDER}/tree)
set(header ${FOLDER}/facts.h)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${tree}/inner)

function(look_up source git)
  execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D GIT=${git} -D OUTPUT=${header}
                          -D "COMPILER=GNU 12.2.0" -D BUILD_TYPE=Release -D "FLAGS=-O3 -DNDEBUG"
                          -P ${SCRIPT}
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# expect(LINE): it stands in the header.
function(expect line)
  file(READ ${header} text)
  string(FIND "${text}" "#define MASKERADE_BUILD_${line}\n" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "expected ${line} in:\n${text}")
  endif()
endfunction()

function(git)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env GIT_CONFIG_GLOBAL=/dev/null
                          ${GIT} -C ${tree} -c user.name=Nobody -c user.email=nobody@example.org
                          ${ARGN}
                  OUTPUT_VARIABLE out OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(out "${out}" PARENT_SCOPE)
endfunction()

file(WRITE ${tree}/file.txt "one\n")
file(WRITE ${tree}/.gitignore "/build/\n")
git(init --quiet)
look_up(${tree} ${GIT})
expect("COMMIT R\"fact(unknown)fact\"")  # there is none yet
expect("TREE_STATE R\"fact(unknown)fact\"")

git(add file.txt .gitignore)
git(commit --quiet -m First)
git(rev-parse HEAD)
look_up(${tree} ${GIT})
expect("COMMIT R\"fact(${out})fact\"")
expect("TREE_STATE R\"fact(clean)fact\"")
expect("COMPILER R\"fact(GNU 12.2.0)fact\"")
expect("BUILD_TYPE R\"fact(Release)fact\"")
expect("FLAGS R\"fact(-O3 -DNDEBUG)fact\"")

# Nothing changed: the header is not written.
file(TOUCH ${FOLDER}/stamp)
execute_process(COMMAND touch -d 2020-01-01 ${header} COMMAND_ERROR_IS_FATAL ANY)
look_up(${tree} ${GIT})
if(${header} IS_NEWER_THAN ${FOLDER}/stamp)
  message(FATAL_ERROR "the header was written again")
endif()

file(WRITE ${tree}/build/object.o "ignored")
look_up(${tree} ${GIT})
expect("TREE_STATE R\"fact(clean)fact\"")

file(WRITE ${tree}/new.txt "untracked")
look_up(${tree} ${GIT})
expect("TREE_STATE R\"fact(changed)fact\"")
file(REMOVE ${tree}/new.txt)

file(WRITE ${tree}/file.txt "two\n")
look_up(${tree} ${GIT})
expect("TREE_STATE R\"fact(changed)fact\"")

# A folder of another project's tree, and no git.
look_up(${tree}/inner ${GIT})
expect("COMMIT R\"fact(unknown)fact\"")
look_up(${tree} "")
expect("COMMIT R\"fact(unknown)fact\"")
expect("TREE_STATE R\"fact(unknown)fact\"")
file(REMOVE_RECURSE ${FOLDER})
