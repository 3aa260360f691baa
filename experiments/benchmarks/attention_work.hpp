#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "experiments/benchmarks/benchmark_case.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Attention over a given mask, planned beforehand for `kernel` (nullopt: the one that is chosen for
// the mask). Checked against the oracle on a sample of rows.
std::unique_ptr<BenchmarkWork> attend_work(std::shared_ptr<const AttentionProblem> problem,
                                           Mask mask,
                                           std::optional<Walk> kernel,
                                           const Threads& threads);

// Which part of a pipeline's work is timed; what comes before it is done once, beforehand.
enum class TimedStage { kSelect, kPlan, kAttend, kAll };
std::string_view name_of(TimedStage stage) noexcept;  // "select", "plan", "attend", "all"

// The keys that a pipeline ought to select in one row, found in the plainest way: active[key_len].
using RowRule = std::function<std::vector<bool>(const AttentionInputs& inputs,
                                                std::int64_t batch,
                                                std::int64_t query_head,
                                                std::int64_t query)>;

// One stage of a pipeline, or all of them in turn. What was selected is checked against `rule`, the
// output against the oracle, on a sample of rows each.
std::unique_ptr<BenchmarkWork> pipeline_work(std::shared_ptr<const AttentionProblem> problem,
                                             Pipeline pipeline,
                                             RowRule rule,
                                             TimedStage stage,
                                             const Threads& threads);

// Throws Error unless `mask` holds in a sample of rows what `rule` says.
void check_rows(const Mask& mask, const AttentionInputs& inputs, const RowRule& rule);

// A masker of the catalog with parameters by name ("" is the first one).
MaskerUse use_masker(const Catalog& maskers,
                     const std::string& id,
                     const std::vector<std::pair<std::string, std::string>>& parameters);

// The first `sink` keys and the window of `window` keys that ends at the query.
RowRule sink_and_window(std::int64_t sink, std::int64_t window);
// Those, and the `budget` keys of highest q.k among the other visible ones.
RowRule sink_window_and_top(std::int64_t sink, std::int64_t window, std::int64_t budget);

// Active pairs of a mask over all batches and query heads of a shape.
double active_pairs(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
