#include "experiments/report/remarks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/match_text.hpp"
#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

constexpr double kNotableClockDrop = 0.05;  // share by which a clock fell
// From when on the time of making the maskers is told: a share of total_ms, and milliseconds.
constexpr double kNotableLoad = 0.1;
constexpr double kLeastNotableLoadMs = 1;
constexpr const char* kSearchedNothing = "match searched nothing: overrides select for every head";

// "density 10 % matched with 1 of 2 seeds, unreachable with seed 1 (between 2.00 % and 5.12 %):
// oracle_topk.budget 328, 16384 (18 probes in 25.0 ms, not counted)"
std::string merged_match_text(std::span<const CellResult* const> seeds) {
  const MatchFacts& match = *seeds.front()->match;
  std::size_t searched = 0;
  std::size_t reached = 0;
  std::int64_t probes = 0;
  double search_ms = 0;
  std::string values;
  std::string unreachable;
  for (const CellResult* result : seeds) {
    if (!result->match || !result->match->found) continue;
    const MatchOutcome& found = *result->match->found;
    ++searched;
    if (found.status == MatchStatus::kMatched) ++reached;
    if (found.status == MatchStatus::kUnreachable) {
      unreachable +=
          fmt::format("{} seed {} ({})", unreachable.empty() ? ", unreachable with" : ",",
                      *result->mask_seed, range_text(*result->match));
    }
    probes += found.probes;
    search_ms += found.search_ms;
    values += (values.empty() ? "" : ", ") + found.value;
  }
  if (searched == 0) return kSearchedNothing;
  return fmt::format("{} {} matched with {} of {} seeds{}: {} {} ({})", name_of(match.quantity),
                     target_text(match), reached, seeds.size(), unreachable, match.parameter,
                     values, effort_text(probes, search_ms));
}

// "its denominator is off by more than 10.0% in 5.00% [4.00%, 6.00%] of ..."
std::string coverage_text(const Coverage& coverage) {
  const auto percent = [](double share) { return number_text(100 * share) + "%"; };
  const auto with_bounds = [&](const RateBounds& rate) {
    return fmt::format("{} [{}, {}]", percent(rate.rate), percent(rate.lo), percent(rate.hi));
  };
  return fmt::format(
      "its denominator is off by more than {} in {} of {} rows x {} seeds, stated: {} at most; "
      "worst row {}, {} of the rows contradict: {}",
      percent(coverage.stated.epsilon), with_bounds(coverage.overall), coverage.rows,
      coverage.seeds, percent(coverage.stated.delta), with_bounds(coverage.worst),
      coverage.contradicting_rows, verdict_of(coverage));
}

std::vector<std::string> mask_remarks_of(const CellResult& result) {
  std::vector<std::string> remarks;
  if (has_kernel_mix(result)) remarks.push_back("kernels by row blocks: " + result.kernel_mix);
  if (result.counts && result.counts->empty_rows > 0) {
    remarks.push_back(
        fmt::format("{} rows attend to nothing: their output is 0", result.counts->empty_rows));
  }
  if (result.cost && result.cost->index_spans_future) {
    remarks.emplace_back("its index holds keys that its queries do not see");
  }
  return remarks;
}

// What the oracle leaves open or holds against the dense reference.
std::vector<std::string> oracle_remarks_of(const CellResult& result) {
  std::vector<std::string> remarks;
  if (!result.oracle) return remarks;
  const OracleFacts& oracle = *result.oracle;
  if (oracle.undecidable_rows > 0) {
    remarks.push_back(
        fmt::format("{} of the {} rows that were compared with the oracle are undecidable: their "
                    "data amplifies rounding up to {}-fold",
                    oracle.undecidable_rows, oracle.rows, number_text(oracle.condition)));
  }
  if (result.mask_seed && oracle.dense_quotient > 1) {
    remarks.push_back(fmt::format(
        "its dense reference misses the oracle by {}, {} times what it may: see the row \"dense\"",
        short_number_text(oracle.dense_error), number_text(oracle.dense_quotient)));
  }
  return remarks;
}

// What a reader of the times of a device must know.
std::vector<std::string> timing_remarks_of(const CellResult& result) {
  std::vector<std::string> remarks;
  const bool is_dense_reference = !result.mask_seed.has_value();
  if (is_dense_reference && !result.dense_kernel_reason.empty()) {
    remarks.push_back("by our own kernel, not cuDNN's: " + result.dense_kernel_reason);
  }
  if (result.times && result.times->load_ms.value_or(0) >= kLeastNotableLoadMs &&
      *result.times->load_ms > kNotableLoad * result.times->total.median) {
    remarks.push_back(fmt::format("loading its maskers took {} ms, once; it is in no total",
                                  milliseconds_text(*result.times->load_ms)));
  }
  if (!result.device_timing) return remarks;
  const DeviceTiming& timing = *result.device_timing;
  if (timing.launch_ms) {
    remarks.push_back(
        fmt::format("attend and dense are replayed from a graph; launched one by one "
                    "attend's kernels take {} ms more",
                    milliseconds_text(*timing.launch_ms)));
  }
  if (timing.clock_drop() > kNotableClockDrop) {
    remarks.push_back(fmt::format("the device's clock fell from {} to {} MHz meanwhile ({})",
                                  number_text(timing.before->sm_mhz),
                                  number_text(timing.after->sm_mhz),
                                  timing.after->throttle_reasons));
  }
  return remarks;
}

}  // namespace

bool has_kernel_mix(const CellResult& result) {
  return result.kernel_mix.find(',') != std::string::npos;
}

std::vector<TextCell> remarks_of(const CellResult& result) {
  std::vector<TextCell> remarks;
  const auto add = [&](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) remarks.push_back({text, Tone::kSecondary});
  };
  if (result.match && result.match->found) {
    const std::string text = match_text(*result.match);
    // It fails the cell where it is the reason.
    if (text != result.reason) {
      remarks.push_back({text, missed_match(result) ? Tone::kWarning : Tone::kSecondary});
    }
  } else if (result.match && result.status == CellStatus::kOk) {
    add({kSearchedNothing});
  }
  if (!result.reason.empty()) {
    remarks.push_back({std::string(name_of(result.status)) + ": " + result.reason,
                       result.status == CellStatus::kFailed ? Tone::kError : Tone::kSecondary});
  }
  if (result.coverage) add({coverage_text(*result.coverage)});
  add(mask_remarks_of(result));
  add(oracle_remarks_of(result));
  add(timing_remarks_of(result));
  return remarks;
}

std::vector<TextCell> remarks_of(std::span<const CellResult* const> seeds) {
  std::vector<TextCell> remarks;
  if (seeds.front()->match) {
    const bool is_missed = std::any_of(
        seeds.begin(), seeds.end(), [](const CellResult* result) { return missed_match(*result); });
    remarks.push_back({merged_match_text(seeds), is_missed ? Tone::kWarning : Tone::kSecondary});
  }
  const auto add = [&](const CellResult& result, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      remarks.push_back(
          {fmt::format("from seed {}: {}", *result.mask_seed, text), Tone::kSecondary});
    }
  };
  for (const CellResult* result : seeds) {
    if (result->coverage) add(*result, {coverage_text(*result->coverage)});
  }
  for (const CellResult* result : seeds) {
    const std::vector<std::string> of_mask = mask_remarks_of(*result);
    add(*result, of_mask);
    if (!of_mask.empty()) break;
  }
  for (const CellResult* result : seeds) add(*result, oracle_remarks_of(*result));
  for (const CellResult* result : seeds) add(*result, timing_remarks_of(*result));
  return remarks;
}

}  // namespace maskerade
