#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {
namespace {

BenchmarkCase dense_case(const AttentionShape& shape, DType dtype, bool causal, Scale scale) {
  return {fmt::format("dense/{}/{}{}", shape_name(shape), name_of(dtype), causal ? "/causal" : ""),
          [=](const BenchmarkContext& context, const Threads& threads) {
            auto problem = context.problems.problem(scale == Scale::kFull ? shape : reduced(shape),
                                                    dtype, causal);
            Mask mask = Mask::full(problem->inputs.visibility);
            return attend_work(std::move(problem), std::move(mask), Walk::kDense, threads);
          }};
}

}  // namespace

// Dense prefill, against which every speedup is measured.
std::vector<BenchmarkCase> dense_cases(Scale scale) {
  const AttentionShape shapes[] = {{1, 8, 8, 1024, 1024, 64},  {1, 8, 8, 2048, 2048, 64},
                                   {1, 8, 8, 4096, 4096, 64},  {1, 8, 8, 8192, 8192, 64},
                                   {1, 8, 8, 4096, 4096, 128}, {1, 32, 8, 2048, 2048, 128}};
  std::vector<BenchmarkCase> cases;
  for (const AttentionShape& shape : shapes) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      for (const bool causal : {false, true}) {
        cases.push_back(dense_case(shape, dtype, causal, scale));
      }
    }
  }
  return cases;
}

}  // namespace maskerade
