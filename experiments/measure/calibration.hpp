#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attention/cpu/cost_model.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// The cost model of a machine's kernels, as calibrate() measured it.
struct Calibration {
  CostModel costs;
  int threads = 1;       // on how many threads it was measured
  double worst_fit = 0;  // the largest error of the model on a timing, relative to the timing
};

// Times attend() on synthetic plans with all of `threads` and fits the cost model to the times.
// Takes a few seconds. `when` is the present time, as calibration_time() gives it, for the model's
// origin.
Calibration calibrate(const Threads& threads, const std::string& when);

// The present time in UTC: "2026-11-21 14:03:59".
std::string calibration_time();

// The file in a cache folder that keeps the calibration of this machine, made by this version of
// the program.
class CalibrationFile {
 public:
  // folder: where the file lies, see cache_folder(). "": there is none; then load() finds nothing
  // and save() throws.
  explicit CalibrationFile(std::filesystem::path folder);

  // The file's path, whose name holds a hash of the machine and the version; "" without a folder.
  const std::filesystem::path& path() const noexcept { return path_; }

  // Reads the cost model. nullopt: there is no file, or it cannot be used. `problem` becomes the
  // reason why a file that exists cannot be used, else "".
  std::optional<CostModel> load(std::string& problem) const;
  // Writes the file. Throws ConfigError when it cannot be written.
  void save(const Calibration& calibration) const;

 private:
  std::filesystem::path path_;
};

}  // namespace maskerade
