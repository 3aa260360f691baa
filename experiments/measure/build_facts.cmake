# cmake -D SOURCE=... -D GIT=... -D OUTPUT=... -D COMPILER=... -D BUILD_TYPE=... -D FLAGS=...
#       -P build_facts.cmake
# Writes the header OUTPUT with what a build is made of: the commit of the tree SOURCE, whether the
# tree is as that commit has it, and how it is compiled. Changes the file only when that changed.
# GIT: the program git, "" where there is none. A tree that is none of git's, or only a folder of
# another project's, has an unknown commit.
cmake_minimum_required(VERSION 3.25)

# git_says(RESULT ARGUMENTS ...): what git prints, and `status`, 0 when it did not fail.
macro(git_says result)
  execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE} ${ARGN}
                  OUTPUT_VARIABLE ${result} OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET RESULT_VARIABLE status)
endmacro()

set(COMMIT unknown)
set(TREE_STATE unknown)
if(GIT)
  git_says(top rev-parse --show-toplevel)
  set(is_own OFF)
  if(status EQUAL 0)
    file(REAL_PATH "${top}" top)
    file(REAL_PATH "${SOURCE}" source)
    if(top STREQUAL source)
      set(is_own ON)
    endif()
  endif()
  if(is_own)
    git_says(head rev-parse --verify HEAD)
    if(status EQUAL 0)
      set(COMMIT ${head})
      # Files that git does not track count unless it ignores them.
      git_says(changes status --porcelain --untracked-files=normal)
      if(status EQUAL 0 AND changes STREQUAL "")
        set(TREE_STATE clean)
      elseif(status EQUAL 0)
        set(TREE_STATE changed)
      endif()
    endif()
  endif()
endif()

set(text "#pragma once\n\n")
foreach(name IN ITEMS COMMIT TREE_STATE COMPILER BUILD_TYPE FLAGS)
  string(APPEND text "#define MASKERADE_BUILD_${name} R\"fact(${${name}})fact\"\n")
endforeach()
set(present)
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} present)
endif()
if(NOT present STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
