#include "experiments/report/kernel_comparison.hpp"

#include <fmt/format.h>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

constexpr const char* kAuto = "auto";

bool is_timed(const CellResult& result) {
  return result.status == CellStatus::kOk && result.times && result.times->plan;
}

// Whether two cells are the same but for the kernel.
bool is_same_but_for_kernel(const CellResult& a, const CellResult& b) {
  return a.workload == b.workload && a.pipeline == b.pipeline && a.device == b.device &&
         a.mask_seed == b.mask_seed && a.params == b.params;
}

double kernel_ms(const CellResult& result) {
  return result.times->plan->median + result.times->attend.median;
}

}  // namespace

void KernelComparison::add(std::span<const CellResult> results) {
  for (const CellResult& chosen : results) {
    if (chosen.kernel != kAuto || !is_timed(chosen)) continue;
    const CellResult* best = nullptr;
    for (const CellResult& named : results) {
      if (named.kernel == kAuto || !is_timed(named) || !is_same_but_for_kernel(chosen, named))
        continue;
      if (best == nullptr || kernel_ms(named) < kernel_ms(*best)) best = &named;
    }
    if (best == nullptr) continue;
    ++cells_;
    const double ratio = kernel_ms(chosen) / kernel_ms(*best);
    if (ratio <= worst_) continue;
    worst_ = ratio;
    where_ = fmt::format("{}, {}: {} against {}", chosen.workload, chosen.pipeline,
                         chosen.kernel_mix, best->kernel);
  }
}

std::string KernelComparison::text(std::size_t width) const {
  if (cells_ == 0) return "";
  return wrapped(fmt::format("auto took at worst {:.2f} x the best kernel named by hand, plan and "
                             "attend, in {} cell{} ({})",
                             worst_, cells_, cells_ == 1 ? "" : "s", where_),
                 width, 0);
}

}  // namespace maskerade
