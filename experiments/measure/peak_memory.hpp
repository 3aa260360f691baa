#pragma once

#include <cstdint>
#include <optional>

namespace maskerade {

// Watches the peak resident set of this process: /proc/self/clear_refs sets the system's high-water
// mark back, VmHWM of /proc/self/status tells it. One at a time.
class PeakMemory {
 public:
  // From now on.
  PeakMemory();
  // Until now; absent where the system does not let the mark be set back or does not tell it.
  std::optional<std::int64_t> bytes() const;

 private:
  bool is_reset_ = false;
};

}  // namespace maskerade
