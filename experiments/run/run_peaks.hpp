#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "experiments/measure/machine_peaks.hpp"
#include "experiments/results/cell_result.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// The peaks of the processor during a run: measured before it, and again where a result contradicts
// them.
class RunPeaks {
 public:
  // At most so often are the peaks measured again. Rationale: a cell that stays above them, because
  // the probes miss something, must not cost every cell of its kind the time of the probes.
  static constexpr int kMostRenewals = 3;

  // peaks: those of `threads`; nullopt: none are known, and none will be. measure: how they are
  // measured again; where it throws std::bad_alloc they stay as they are.
  RunPeaks(std::optional<MachinePeaks> peaks,
           Threads threads,
           std::function<MachinePeaks(const Threads&)> measure = measure_peaks)
      : peaks_(std::move(peaks)), threads_(threads), measure_(std::move(measure)) {}

  // Gives a result that was just measured the peaks of the processor for its dtype and head_dim, in
  // place of those that it was begun with. If it then contradicts them, measures them again, keeps
  // the larger of each, and gives it those; so must be called before the result is stored. A result
  // of a device, or of data that could not be loaded, or without peaks stays as it is.
  void apply(CellResult& result);

  // Those that are known now.
  const std::optional<MachinePeaks>& peaks() const noexcept { return peaks_; }

 private:
  std::optional<MachinePeaks> peaks_;
  Threads threads_;
  std::function<MachinePeaks(const Threads&)> measure_;
  int renewals_ = 0;
};

}  // namespace maskerade
