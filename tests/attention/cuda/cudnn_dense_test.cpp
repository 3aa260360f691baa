// CudnnDense on the emulated device, with a stand-in for cuDNN (naive_cudnn.cpp) that evaluates
// graphs naively.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "attention/cuda/cuda_backend.hpp"
#include "attention/cuda/cudnn_library.hpp"
#include "attention/reference/row_judgement.hpp"
#include "attention/research_attention.hpp"
#include "framework/base/error.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade {
namespace {

// Before the first call of cudnn_library(), which remembers.
const bool kIsSet = setenv("MASKERADE_CUDNN", MASKERADE_TEST_CUDNN, 1) == 0;

// The largest error of a row over all rows; infinity when the lse of a row is off by more than
// 1e-4.
double worst_error(const AttentionInputs& inputs, const AttentionOutput& output) {
  const AttentionShape& shape = inputs.shape;
  const Mask mask = Mask::full(inputs.visibility);
  double worst = 0;
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t head = row / shape.query_len;
    const OracleRow oracle = oracle_row(inputs, mask, head / shape.query_heads,
                                        head % shape.query_heads, row % shape.query_len);
    worst = std::max(worst, out_error(oracle, output.out.data() + row * shape.head_dim));
    const double lse_error = std::abs(oracle.lse - output.lse[static_cast<std::size_t>(row)]);
    if (!(lse_error <= 1e-4)) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

AttentionOutput attend_by_cudnn(const AttentionInputs& inputs) {
  const auto device = open_cuda_backend(inputs, {});
  const auto mask = device->take(Mask::full(inputs.visibility));
  const KernelPlan planned = plan_for(*device, *mask, "cudnn");
  EXPECT_EQ(planned.plan->kernel_mix(), "dense cuDNN 9.19.0");
  EXPECT_EQ(planned.plan->kv_bytes_touched(), 2 * 2 * inputs.shape.batch * inputs.shape.kv_heads *
                                                  inputs.shape.key_len * inputs.shape.head_dim);
  AttentionOutput output;
  device->time(Stage::kAttend, {}, [&] { planned.attend(*device, output); });  // over poison
  device->fetch(*planned.plan, output);
  return output;
}

// The error of planning for cuDNN; "" when there is none.
std::string refusal_of(const AttentionInputs& inputs, const Mask& mask) {
  const auto device = open_cuda_backend(inputs, {});
  try {
    plan_for(*device, *device->take(mask), "cudnn");
  } catch (const UnavailableError& error) {
    return error.what();
  }
  return "";
}
std::string refusal_of(const AttentionInputs& inputs) {
  return refusal_of(inputs, Mask::full(inputs.visibility));
}

TEST(CudnnDense, FindsTheLibraryThatTheEnvironmentNames) {
  ASSERT_TRUE(kIsSet);
  EXPECT_TRUE(cudnn_library().is_found) << cudnn_library().reason;
  EXPECT_EQ(cudnn_library().path, MASKERADE_TEST_CUDNN);
  EXPECT_EQ(cudnn_library().version, "9.19.0");
}

TEST(CudnnDense, IsAttentionOverEveryVisibleKey) {
  struct Case {
    AttentionShape shape;
    DType dtype;
    bool causal;
  };
  // Square and not, one query, GQA, lengths that are no multiple of 64.
  const Case cases[] = {
      {{.batch = 2,
        .query_heads = 4,
        .kv_heads = 2,
        .query_len = 20,
        .key_len = 20,
        .head_dim = 64},
       DType::kBFloat16,
       true},
      {{.batch = 1, .query_heads = 2, .kv_heads = 2, .query_len = 7, .key_len = 33, .head_dim = 64},
       DType::kFloat16,
       true},
      {{.batch = 1, .query_heads = 3, .kv_heads = 1, .query_len = 9, .key_len = 5, .head_dim = 128},
       DType::kFloat16,
       false},
      {{.batch = 1, .query_heads = 8, .kv_heads = 1, .query_len = 1, .key_len = 70, .head_dim = 32},
       DType::kBFloat16,
       true}};
  for (const auto& [shape, dtype, causal] : cases) {
    SCOPED_TRACE(shape.to_string());
    const RandomProblem problem(shape, dtype, causal, 5);
    EXPECT_LE(worst_error(problem.inputs, attend_by_cudnn(problem.inputs)), base_allowance(dtype));
  }
}

TEST(CudnnDense, SaysWhyItDoesNotTakeAProblem) {
  AttentionShape shape = {
      .query_heads = 2, .kv_heads = 2, .query_len = 3, .key_len = 20, .head_dim = 96};
  const RandomProblem refused(shape, DType::kFloat16, false, 1);
  EXPECT_EQ(refusal_of(refused.inputs),
            "cudnnBackendGetAttribute: CUDNN_STATUS_NOT_SUPPORTED (3000): no head_dim of 96");
  shape.head_dim = 64;
  const RandomProblem wide(shape, DType::kFloat32, false, 1);
  EXPECT_EQ(refusal_of(wide.inputs),
            "cuDNN's fused attention takes float16 and bfloat16, not float32");
  RandomProblem sampled(shape, DType::kFloat16, true, 1);
  sampled.inputs.visibility = Visibility::at_positions({0, 5, 9}, 20, true);
  EXPECT_EQ(
      refusal_of(sampled.inputs),
      "cuDNN's fused attention takes causal queries at the last positions of the keys only, and "
      "these have query_positions of their own");
}

TEST(CudnnDense, TakesNoMaskThatLeavesKeysOut) {
  const AttentionShape shape = {.query_heads = 2, .query_len = 3, .key_len = 20, .head_dim = 64};
  const RandomProblem problem(shape, DType::kFloat16, true, 1);
  EXPECT_EQ(refusal_of(problem.inputs, Mask::empty(problem.inputs.visibility)),
            "the kernel \"cudnn\" of the cuda backend does not take this: it attends to every "
            "visible key, and the mask leaves some out");
}

// Keys and values whose heads have room for more keys.
TEST(CudnnDense, ReadsASequenceThatHasRoomToGrow) {
  const AttentionShape shape = {
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 30, .head_dim = 64};
  const RandomProblem problem(shape, DType::kBFloat16, true, 5);
  const auto device = open_cuda_backend(problem.inputs, {.key_capacity = 100});
  const auto mask = device->take(Mask::full(problem.inputs.visibility));
  const KernelPlan planned = plan_for(*device, *mask, "cudnn");
  AttentionOutput output;
  planned.attend(*device, output);
  device->fetch(*planned.plan, output);
  EXPECT_LE(worst_error(problem.inputs, output), 1e-2);
}

}  // namespace
}  // namespace maskerade
