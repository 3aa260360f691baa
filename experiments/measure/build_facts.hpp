#pragma once

#include <string>

namespace maskerade {

// What this program was built from, and how.
struct BuildFacts {
  std::string commit;      // of git, 40 hexadecimal digits; "unknown"
  std::string tree_state;  // "clean": as the commit has it; "changed"; "unknown"
  std::string compiler;    // "GNU 12.2.0"
  std::string build_type;  // "Release"
  std::string flags;       // of C++: "-O3 -DNDEBUG"
};

const BuildFacts& build_facts();

}  // namespace maskerade
