# find_package(maskerade 1.0 REQUIRED)
# maskerade_add_masker(my_masker)   # builds my_masker.so from my_masker.cpp
include(${CMAKE_CURRENT_LIST_DIR}/maskerade-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/maskerade_add_masker.cmake)
