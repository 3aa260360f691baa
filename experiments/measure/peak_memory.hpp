#pragma once

#include <cstdint>
#include <optional>

namespace maskerade {

// Measures the peak of this process's resident memory while the object lives. It resets the
// operating system's high-water mark through /proc/self/clear_refs and reads it as VmHWM in
// /proc/self/status. There is one mark for the process, so that only one object may be in use at a
// time.
class PeakMemory {
 public:
  // Begins to measure.
  PeakMemory();
  // The peak since the construction. nullopt: the system does not allow the mark to be reset, or
  // does not report it.
  std::optional<std::int64_t> bytes() const;

 private:
  bool is_reset_ = false;
};

}  // namespace maskerade
