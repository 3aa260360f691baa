#pragma once

#include <cstdint>
#include <filesystem>

namespace maskerade::detail {

// Tells which runs of a results database still live, by locks on the bytes of a file beside it: a
// run holds the byte of its number. The system lets go of it when the process ends, however it
// does. Where the file system has no locks, every other run counts as ended.
class RunLocks {
 public:
  // Who holds runs makes the file when it is missing; who only asks makes nothing.
  enum class Use { kHold, kAsk };

  // database: beside which the file lies, with "-runs" after its name. Where the file cannot be
  // opened there are no locks.
  RunLocks(const std::filesystem::path& database, Use use);
  ~RunLocks();
  RunLocks(const RunLocks&) = delete;
  RunLocks& operator=(const RunLocks&) = delete;

  // Marks a run as one of this process, until this object is destroyed.
  void hold(std::int64_t run);
  // Whether another open RunLocks holds the run.
  bool is_held(std::int64_t run) const;

 private:
  int descriptor_;
};

}  // namespace maskerade::detail
