#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace maskerade {

// What the control groups of this process (cgroups, versions 1 and 2) leave it, as containers set
// them. Absent: they set no limit.
struct ControlGroupLimits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::int64_t> processors;  // the processor time of so many, rounded up
};

// Reads the limits of the groups that ROOT/proc/self/cgroup names, and of the groups around them,
// where ROOT/proc/self/mountinfo says that they are mounted; every path lies below `root`. The
// smallest limit of each kind counts. A file that is missing or cannot be understood sets none.
ControlGroupLimits control_group_limits(const std::filesystem::path& root = "/");

// What this process may use of the machine.
struct ProcessLimits {
  std::int64_t processors = 1;  // at least 1
  std::uint64_t memory_bytes = 0;
  bool memory_is_of_control_group = false;  // else it is the machine's
};

// The machine's memory and the processors that this process may run on, or what its control groups
// leave of them.
ProcessLimits process_limits(const std::filesystem::path& root = "/");

}  // namespace maskerade
