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

}  // namespace maskerade
