#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/check/masker_in_hand.hpp"
#include "experiments/check/verdict.hpp"

namespace maskerade::check {

struct CheckedLibrary {
  std::string title;  // "my_band (/x/my_band.so, ABI 1.3, sha256 ...)"; the path, if not loaded
  std::vector<Verdict> verdicts;
};

// What may be asked of the user's terminal while a library is checked: the question in hand.
using Asking = std::function<void(const std::string& asked)>;

// Asks everything of a library, in processes of its own: whatever the masker does to one, the
// question in hand fails with how it ended, and the next are asked in another. After the third end
// nothing more is asked. A question may take a minute from one step to the next, and 2 GB. Throws
// PluginError when the file is not there, cannot be read or is no shared library; ConfigError when
// the masker's table does not accept what options.given says; RunStopped when is_stopped().
CheckedLibrary check_library(const CheckOptions& options,
                             const std::function<bool()>& is_stopped,
                             const Asking& asking);

}  // namespace maskerade::check
