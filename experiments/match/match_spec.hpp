#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// What pipelines are made equal in. Each is a column of the results, in its unit.
enum class MatchQuantity { kDensity, kRelL2Error, kAttentionRecall, kTotalBytes, kTotalMs };

std::string_view name_of(MatchQuantity quantity) noexcept;  // "density", ..., "total_ms"
std::optional<MatchQuantity> parse_match_quantity(std::string_view name) noexcept;

// What a parameter of one pipeline is searched for.
struct MatchSpec {
  MatchQuantity quantity = MatchQuantity::kDensity;
  double target = 0;          // above 0, in the unit of the quantity's column
  double tolerance = 0.01;    // how near counts as reached, relative to the target
  std::size_t masker = 0;     // of the pipeline
  std::size_t parameter = 0;  // of that masker's table
  std::string name;           // "oracle_topk.budget", with #2 and so on where a masker is repeated
};

}  // namespace maskerade
