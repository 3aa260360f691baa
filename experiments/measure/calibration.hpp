#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attention/cpu/cost_model.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// What a machine's kernels cost, see calibrate.
struct Calibration {
  CostModel costs;
  int threads = 1;
  double worst_fit = 0;  // largest relative distance of a timing from the model
};

// Fits the cost model to timings of attend on plans made for it, on all `threads`: a few seconds.
// `when` names the time in the model's origin.
Calibration calibrate(const Threads& threads, const std::string& when);

// Now, as "2026-11-21 14:03:59" in UTC.
std::string calibration_time();

// The calibration of this machine and this version of the program that a cache folder holds.
class CalibrationFile {
 public:
  // In `folder`; "" when there is none, see cache_folder.
  explicit CalibrationFile(std::filesystem::path folder);

  // "" without a folder. The name holds a hash of machine and version.
  const std::filesystem::path& path() const noexcept { return path_; }

  // nullopt when there is no file, or when it cannot be used: `problem` then says why.
  std::optional<CostModel> load(std::string& problem) const;
  // Throws ConfigError when it cannot be written.
  void save(const Calibration& calibration) const;

 private:
  std::filesystem::path path_;
};

}  // namespace maskerade
