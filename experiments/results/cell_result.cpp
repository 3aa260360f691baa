#include "experiments/results/cell_result.hpp"

namespace maskerade {

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

std::optional<double> CellResult::percent_of_attainable() const {
  if (!times || !cost || !cost->attainable_ms) return std::nullopt;
  return 100 * *cost->attainable_ms / times->attend.median;
}

std::optional<double> CellResult::break_even_density() const {
  if (!times || !counts) return std::nullopt;
  return counts->density * times->dense.median / times->attend.median;
}

}  // namespace maskerade
