#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// The quantities in which a match can make pipelines equal. Each is a column of the results, and is
// measured in that column's unit.
enum class MatchQuantity { kDensity, kRelL2Error, kAttentionRecall, kTotalBytes, kTotalMs };

// The name of a quantity's column: "density", ..., "total_ms".
std::string_view name_of(MatchQuantity quantity) noexcept;
// The quantity with that column name; nullopt: there is none.
std::optional<MatchQuantity> parse_match_quantity(std::string_view name) noexcept;

// What becomes of a cell whose search missed its target: it is measured at the nearest value, and
// is a failure besides or is none.
enum class MissRule { kKeep, kFail };
std::string_view name_of(MissRule rule) noexcept;  // "keep", "fail"
std::optional<MissRule> parse_miss_rule(std::string_view name) noexcept;

// A search for the value of one parameter of a pipeline with which a quantity reaches a target.
struct MatchSpec {
  MatchQuantity quantity = MatchQuantity::kDensity;
  double target = 0;        // above 0, in the unit of the quantity's column
  double tolerance = 0.01;  // the target is reached within tolerance * target of it
  MissRule on_miss = MissRule::kKeep;
  std::size_t masker = 0;     // index in the pipeline's list of maskers
  std::size_t parameter = 0;  // index in that masker's parameter table
  std::string name;  // "oracle_topk.budget"; "oracle_topk#2.budget" for the second of that masker
};

}  // namespace maskerade
