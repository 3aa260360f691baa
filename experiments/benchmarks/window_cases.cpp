#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {

// A pipeline that depends on positions alone, stage by stage: the first 64 keys and a window of 256
// keys, causal.
std::vector<BenchmarkCase> window_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t length : {8192, 16384}) {
    const AttentionShape full{1, 8, 8, length, length, 64};
    const AttentionShape shape = scale == Scale::kFull ? full : reduced(full);
    for (const TimedStage stage :
         {TimedStage::kSelect, TimedStage::kPlan, TimedStage::kAttend, TimedStage::kAll}) {
      cases.push_back({fmt::format("window/{}/float32/{}", shape_name(full), name_of(stage)),
                       [=](const BenchmarkContext& context, const Threads& threads) {
                         return pipeline_work(
                             context.problems.problem(shape, DType::kFloat32, true),
                             Pipeline({use_masker(context.maskers, "sink", {{"", "64"}}),
                                       use_masker(context.maskers, "local", {{"", "256"}})}),
                             sink_and_window(64, 256), stage, threads);
                       }});
    }
  }
  return cases;
}

}  // namespace maskerade
