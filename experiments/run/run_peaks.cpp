#include "experiments/run/run_peaks.hpp"

#include <new>

namespace maskerade {

void RunPeaks::apply(CellResult& result) {
  if (!peaks_ || !result.peaks || !result.facts || result.device != "cpu") return;
  const auto give = [&] {
    result.peaks = peaks_for(*peaks_, result.facts->dtype, result.facts->shape.head_dim);
  };
  give();
  if (renewals_ >= kMostRenewals || !result.contradicts_peaks()) return;
  ++renewals_;
  try {
    peaks_ = larger_of(*peaks_, measure_(threads_));
  } catch (const std::bad_alloc&) {
    return;
  }
  give();
}

}  // namespace maskerade
