#pragma once

#include <string>
#include <vector>

namespace maskerade {

// With this status a process of `worker --probe` ends when it has loaded all libraries, or refused
// one.
inline constexpr int kProbedStatus = 93;

// Has the libraries of all maskers loaded in another process first, by `worker --probe`: the named
// files and those that this process would find without them. Throws PluginError, which names the
// library, when loading one ends that process, or takes longer than a minute. Whatever else is
// wrong with a library, loading it will say.
void probe_libraries(const std::vector<std::string>& files);

}  // namespace maskerade
