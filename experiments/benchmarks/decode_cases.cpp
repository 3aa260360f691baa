#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {
namespace {

BenchmarkCase dense_decode(const AttentionShape& full, DType dtype, Scale scale) {
  const AttentionShape shape = scale == Scale::kFull ? full : reduced(full);
  return {fmt::format("decode/{}/{}", shape_name(full), name_of(dtype)),
          [=](const BenchmarkContext& context, const Threads& threads) {
            auto problem = context.problems.problem(shape, dtype, shape.query_len > 1);
            Mask mask = Mask::full(problem->inputs.visibility);
            return attend_work(std::move(problem), std::move(mask), Walk::kDense, threads);
          }};
}

}  // namespace

// One or a few queries over a long key-value cache: dense attention, and a pipeline of sink, local
// and top-k stage by stage.
std::vector<BenchmarkCase> decode_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  const AttentionShape main{1, 32, 8, 1, 32768, 128};
  for (const AttentionShape& shape :
       {main, AttentionShape{8, 32, 8, 1, 8192, 128}, AttentionShape{1, 32, 32, 1, 32768, 128}}) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      cases.push_back(dense_decode(shape, dtype, scale));
    }
  }
  for (const std::int64_t queries : {4, 8}) {
    cases.push_back(dense_decode({1, 32, 8, queries, 32768, 128}, DType::kFloat32, scale));
  }
  const AttentionShape shape = scale == Scale::kFull ? main : reduced(main);
  const bool is_full = scale == Scale::kFull;
  const std::int64_t sink = is_full ? 128 : 8;
  const std::int64_t window = is_full ? 512 : 32;
  for (const TimedStage stage :
       {TimedStage::kSelect, TimedStage::kPlan, TimedStage::kAttend, TimedStage::kAll}) {
    cases.push_back(
        {fmt::format("decode/{}/float32/sink128-local512-topk2/{}", shape_name(main),
                     name_of(stage)),
         [=](const BenchmarkContext& context, const Threads& threads) {
           return pipeline_work(
               context.problems.problem(shape, DType::kFloat32, false),
               Pipeline({use_masker(context.maskers, "sink", {{"", std::to_string(sink)}}),
                         use_masker(context.maskers, "local", {{"", std::to_string(window)}}),
                         use_masker(context.maskers, "oracle_topk", {{"budget", "2%"}})}),
               sink_window_and_top(sink, window, shape.key_len / 50), stage, threads);
         }});
  }
  return cases;
}

}  // namespace maskerade
