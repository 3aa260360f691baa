#include "experiments/report/kernel_comparison.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

constexpr const char* kAuto = "auto";

bool is_timed(const CellResult& result) {
  return result.status == CellStatus::kOk && result.times && result.times->plan;
}

// What cells that are the same but for the kernel, and perhaps their parameters, have in common.
using NamesButKernel =
    std::tuple<std::string_view, std::string_view, std::string_view, std::optional<std::uint64_t>>;

NamesButKernel names_of(const CellResult& result) {
  return {result.workload, result.pipeline, result.device, result.mask_seed};
}

double kernel_ms(const CellResult& result) {
  return result.times->plan->median + result.times->attend.median;
}

}  // namespace

void KernelComparison::add(std::span<const CellResult> results) {
  std::map<NamesButKernel, std::vector<const CellResult*>> named_cells;
  for (const CellResult& result : results) {
    if (result.kernel != kAuto && is_timed(result))
      named_cells[names_of(result)].push_back(&result);
  }
  for (const CellResult& chosen : results) {
    if (chosen.kernel != kAuto || !is_timed(chosen)) continue;
    const auto beside = named_cells.find(names_of(chosen));
    if (beside == named_cells.end()) continue;
    const CellResult* best = nullptr;
    for (const CellResult* named : beside->second) {
      if (named->params != chosen.params) continue;
      if (best == nullptr || kernel_ms(*named) < kernel_ms(*best)) best = named;
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
