#include "experiments/measure/build_facts.hpp"

#include "maskerade_build_facts.h"  // written at each build by build_facts.cmake

namespace maskerade {

const BuildFacts& build_facts() {
  static const BuildFacts kFacts = {.commit = MASKERADE_BUILD_COMMIT,
                                    .tree_state = MASKERADE_BUILD_TREE_STATE,
                                    .compiler = MASKERADE_BUILD_COMPILER,
                                    .build_type = MASKERADE_BUILD_BUILD_TYPE,
                                    .flags = MASKERADE_BUILD_FLAGS};
  return kFacts;
}

}  // namespace maskerade
