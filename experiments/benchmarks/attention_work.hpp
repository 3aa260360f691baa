#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "experiments/benchmarks/benchmark_case.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Times attention over a given mask. It is planned once, before, for `kernel`; nullopt: for the
// kernels that the cost model chooses. The check compares a sample of rows with the oracle.
std::unique_ptr<BenchmarkWork> attend_work(std::shared_ptr<const AttentionProblem> problem,
                                           Mask mask,
                                           std::optional<Walk> kernel,
                                           const Threads& threads);

// The stage of a pipeline that is timed. The stages before it are done once and are not timed.
enum class TimedStage { kSelect, kPlan, kAttend, kAll };
std::string_view name_of(TimedStage stage) noexcept;  // "select", "plan", "attend", "all"

// Finds in a simple way which keys a pipeline should select in one row: one truth value for each of
// the key_len keys.
using RowRule = std::function<std::vector<bool>(const AttentionInputs& inputs,
                                                std::int64_t batch,
                                                std::int64_t query_head,
                                                std::int64_t query)>;

// Times one stage of a pipeline, or all of them in turn. The check compares the selected keys with
// `rule` and the output with the oracle, on a sample of rows.
std::unique_ptr<BenchmarkWork> pipeline_work(std::shared_ptr<const AttentionProblem> problem,
                                             Pipeline pipeline,
                                             RowRule rule,
                                             TimedStage stage,
                                             const Threads& threads);

// Throws Error unless the active keys of `mask`, in a sample of rows, are those that `rule` gives.
void check_rows(const Mask& mask, const AttentionInputs& inputs, const RowRule& rule);

// A parameter's name, "" for the first one of the masker, and its value as in YAML.
struct ParameterText {
  std::string name;
  std::string value;
};
// Returns a masker of the catalog with some parameters, the others at their defaults. Throws Error
// when there is no such masker.
MaskerUse use_masker(const Catalog& maskers,
                     const std::string& id,
                     const std::vector<ParameterText>& parameters);

// The rule of the maskers sink and local: the first `sink` keys, and the `window` keys that end at
// the query's position.
RowRule sink_and_window(std::int64_t sink, std::int64_t window);
// The same, and of the other visible keys the `budget` keys with the highest q.k.
RowRule sink_window_and_top(std::int64_t sink, std::int64_t window, std::int64_t budget);

// The number of active (query, key) pairs of a mask over all batch entries and query heads of a
// shape.
double active_pairs(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
