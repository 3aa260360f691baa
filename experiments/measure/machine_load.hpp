#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace maskerade {

// The system's load average of the last minute; nullopt where it does not tell.
std::optional<double> load_average();

// What the machine did besides this process while something was measured.
struct LoadFacts {
  // The system's load average of the last minute, at the end: processes that ran or waited to run,
  // this one included. Absent where the system does not tell.
  std::optional<double> average = {};
  // How many processors were busy with anything but this process and the children that it waited
  // for, on average; 0 at least. What a hypervisor took counts. Absent where the system does not
  // tell, and for times too short for it, see MachineLoad.
  std::optional<double> other = {};
};

// Measures what else the machine does while the object lives: the busy time of all processors in
// /proc/stat less the processor time of this process and of its children that have ended.
// Rationale: the system counts busy time in ticks of 10 ms for each processor. So a time below
// kLeastMeasurable gives no `other`: one tick more or less would look like another process.
class MachineLoad {
 public:
  static constexpr std::chrono::milliseconds kLeastMeasurable{250};

  // Begins to measure.
  MachineLoad();
  // The load since the construction.
  LoadFacts finish() const;

 private:
  std::chrono::steady_clock::time_point begin_;
  std::optional<double> busy_seconds_;
  double own_seconds_ = 0;
};

// The time that all processors together were busy, from the text of /proc/stat: user, nice, system,
// interrupts and what a hypervisor took; idle and waiting for input or output are left out.
// nullopt: the text has no such line.
std::optional<double> busy_seconds(std::string_view stat, std::int64_t ticks_per_second);

}  // namespace maskerade
