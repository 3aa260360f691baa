#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace maskerade {

// Executes the running program's file anew, whatever lies at its path by now, with these arguments.
// Its output goes to stderr. It inherits the descriptors, besides the standard ones. Returns its
// process id. Throws Error when the system cannot start it.
pid_t execute_own_program(const std::vector<std::string>& arguments,
                          const std::vector<int>& inherited);

// How a process ended, from its status as waitpid() gives it: "was ended by SIGSEGV", "exited with
// status 0".
std::string ending_text(int status);

}  // namespace maskerade
