#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {

// Three series of cases over key_len, to which format_scaling() fits exponents: dense prefill, and
// the pipeline of sink and local, both causal with one head; and dense decode.
std::vector<BenchmarkCase> scaling_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  const auto add = [&](const char* series, std::int64_t length, auto make) {
    const std::int64_t key_len = scale == Scale::kFull ? length : 128 + length / 512;
    cases.push_back({fmt::format("scaling/{}/keys={}", series, length),
                     [=](const BenchmarkContext& context, const Threads& threads) {
                       return make(context, threads, key_len);
                     }});
  };
  using Context = const BenchmarkContext&;
  for (std::int64_t length = 1024; length <= 65536; length *= 2) {
    add("dense", length, [](Context context, const Threads& threads, std::int64_t n) {
      auto problem = context.problems.problem({1, 1, 1, n, n, 64}, DType::kFloat32, true);
      Mask mask = Mask::full(problem->inputs.visibility);
      return attend_work(std::move(problem), std::move(mask), Walk::kDense, threads);
    });
    add("sink-local", length, [](Context context, const Threads& threads, std::int64_t n) {
      return pipeline_work(context.problems.problem({1, 1, 1, n, n, 64}, DType::kFloat32, true),
                           Pipeline({use_masker(context.maskers, "sink", {{"", "64"}}),
                                     use_masker(context.maskers, "local", {{"", "256"}})}),
                           sink_and_window(64, 256), TimedStage::kAll, threads);
    });
    add("decode", length, [](Context context, const Threads& threads, std::int64_t n) {
      auto problem = context.problems.problem({1, 32, 8, 1, n, 128}, DType::kFloat32, false);
      Mask mask = Mask::full(problem->inputs.visibility);
      return attend_work(std::move(problem), std::move(mask), Walk::kDense, threads);
    });
  }
  return cases;
}

}  // namespace maskerade
