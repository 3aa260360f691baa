#include "experiments/results/cell_result.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/measure/required_work.hpp"

namespace maskerade {
namespace {

// 64 queries by 64 keys: 4 * 64 * 64 * head_dim flops, 2 * 64 * head_dim elements of 2 bytes.
constexpr double kTileFlopsPerByte = 64;

}  // namespace

std::string_view name_of(CellStatus status) noexcept {
  switch (status) {
    case CellStatus::kOk:
      return "ok";
    case CellStatus::kFailed:
      return "failed";
    case CellStatus::kUnavailable:
      return "unavailable";
  }
  return "";
}

std::optional<CellStatus> parse_cell_status(std::string_view name) noexcept {
  for (const CellStatus status : {CellStatus::kOk, CellStatus::kFailed, CellStatus::kUnavailable}) {
    if (name_of(status) == name) return status;
  }
  return std::nullopt;
}

std::string_view name_of(TimingQuality quality) noexcept {
  return quality == TimingQuality::kOk ? "ok" : "noisy";
}

double DeviceTiming::clock_drop() const {
  if (!before || !after || before->sm_mhz <= 0) return 0;
  return std::max(0.0, 1 - after->sm_mhz / before->sm_mhz);
}

std::optional<double> CellResult::total_relative_half_width() const {
  if (!times || !std::isfinite(times->total.relative_half_width())) return std::nullopt;
  return times->total.relative_half_width();
}

std::optional<TimingQuality> CellResult::timing() const {
  if (!times) return std::nullopt;
  // A comparison with NaN does not hold either.
  const bool is_known = times->total.relative_half_width() <= measure_target &&
                        times->dense.relative_half_width() <= measure_target;
  return is_known ? TimingQuality::kOk : TimingQuality::kNoisy;
}

std::optional<double> CellResult::attend_flops_per_second() const {
  if (!times || !counts || !facts || decode_steps) return std::nullopt;
  return 4.0 * static_cast<double>(facts->shape.head_dim) *
         static_cast<double>(counts->active_entries) / (times->attend.median / 1000);
}

std::optional<double> CellResult::attend_bytes_per_second() const {
  if (!times || !cost) return std::nullopt;
  return static_cast<double>(cost->kv_bytes_touched) / (times->attend.median / 1000);
}

std::optional<double> CellResult::percent_of_peak_flops() const {
  const std::optional<double> rate = attend_flops_per_second();
  if (!rate || !peaks) return std::nullopt;
  return 100 * *rate / peaks->flops_per_second;
}

std::optional<double> CellResult::percent_of_bandwidth() const {
  const std::optional<double> rate = attend_bytes_per_second();
  if (!rate || !peaks) return std::nullopt;
  return 100 * *rate / peaks->read_bytes_per_second;
}

std::optional<double> CellResult::percent_of_l2_roof() const {
  const std::optional<double> rate = attend_flops_per_second();
  if (!rate || !peaks || !peaks->l2_bytes_per_second || kernel_mix.starts_with("rows")) {
    return std::nullopt;
  }
  return 100 * *rate / (kTileFlopsPerByte * *peaks->l2_bytes_per_second);
}

std::optional<double> CellResult::attainable_ms() const {
  if (!cost || !peaks) return std::nullopt;
  return RequiredWork{.flops = cost->required_flops, .bytes = cost->required_bytes}.attainable_ms(
      *peaks);
}

std::optional<double> CellResult::percent_of_attainable() const {
  const std::optional<double> least_ms = attainable_ms();
  if (!times || !least_ms) return std::nullopt;
  return 100 * *least_ms / times->attend.median;
}

bool CellResult::contradicts_peaks() const {
  if (!times || !times->attend.hi || !cost || !peaks) return false;
  const double seconds = *times->attend.hi / 1000;
  const bool may_be_cached = cost->required_bytes < static_cast<double>(kReadProbeBytes);
  return cost->required_flops > peaks->flops_per_second * seconds ||
         (!may_be_cached && cost->required_bytes > peaks->read_bytes_per_second * seconds);
}

std::optional<double> CellResult::break_even_density() const {
  if (!times || !counts) return std::nullopt;
  return counts->density * times->dense.median / times->attend.median;
}

}  // namespace maskerade
