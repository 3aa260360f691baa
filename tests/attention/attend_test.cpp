#include "attention/cpu/attend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "attention/cpu/detail/matrix_unit.hpp"
#include "experiments/rules/kernel_rules.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "tests/attention/attend_by.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

using rules::check_output;
using rules::check_output_is_repeatable;
using rules::check_same_output;
using rules::holds;
using rules::random_mask;
using rules::RandomMaskOptions;
using rules::RandomProblem;

constexpr float kInf = std::numeric_limits<float>::infinity();

// The kernel as rules ask for it.
rules::ThreadedAttendFunction by(Walk kernel) {
  return [kernel](const AttentionInputs& inputs, const Mask& mask, int threads) {
    return attend_by(kernel, inputs, mask, threads);
  };
}

// Calls body(name) with every instruction set of this machine, matrix tiles too.
template <typename Body>
void for_each_instruction_set(Body&& body) {
  for_each_target(body);
  if (detail::matrix_unit_in_use() != detail::MatrixUnit::kNone) body("AMX");
}

TEST(Attend, EveryKernelEqualsTheOracleOverRandomProblems) {
  std::mt19937 engine(11);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  std::map<DType, rules::LargestErrors> worst;
  for (unsigned trial = 0; trial < 60; ++trial) {
    AttentionShape shape;
    const std::int64_t group = pick({1, 3, 4, 8});
    shape.batch = pick({1, 2});
    shape.kv_heads = pick({1, 2});
    shape.query_heads = shape.kv_heads * group;
    shape.query_len = pick({1, 1, 2, 17, 64, 65, 131});
    shape.key_len = pick({1, 5, 63, 64, 65, 200, 333, 517});
    shape.head_dim = pick({20, 32, 64, 80, 128});
    const bool causal = shape.query_len <= shape.key_len && engine() % 2 == 0;
    const DType dtype = static_cast<DType>(trial % 3);
    const RandomProblem problem(shape, dtype, causal, trial);
    const MaskExtent extent{pick({1, shape.batch}), pick({1, shape.kv_heads, shape.query_heads})};
    const RandomMaskOptions options{.tiles = static_cast<double>(engine() % 3) * 0.4,
                                    .keys = static_cast<double>(engine() % 3) * 0.15,
                                    .sampled = engine() % 2 == 0};
    const Mask mask = trial % 10 == 0
                          ? Mask::full(problem.inputs.visibility, extent)
                          : random_mask(problem.inputs.visibility, extent, options, trial);
    for (const Walk kernel : kKernels) {
      SCOPED_TRACE(::testing::Message()
                   << "trial " << trial << " " << shape.to_string() << " " << name_of(dtype)
                   << " causal " << causal << " extent " << extent.batch << " " << extent.heads
                   << " kernel " << name_of(kernel));
      rules::LargestErrors errors;
      EXPECT_TRUE(
          holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 2),
                             base_allowance(DType::kFloat32), &errors)));
      worst[dtype].out = std::max(worst[dtype].out, errors.out);
      worst[dtype].lse = std::max(worst[dtype].lse, errors.lse);
    }
  }
  for (const auto& [dtype, errors] : worst) {
    RecordProperty("worst_out_" + std::string(name_of(dtype)),
                   std::to_string(errors.out * 1e6) + "e-6");
    RecordProperty("worst_lse_" + std::string(name_of(dtype)),
                   std::to_string(errors.lse * 1e6) + "e-6");
    std::cout << name_of(dtype) << ": worst error of out " << errors.out << ", of lse "
              << errors.lse << "\n";
  }
}

TEST(UseInstructionSet, NamesWhatThereIs) {
  try {
    use_instruction_set("AVX9");
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("this machine cannot run the instruction set \"AVX9\"; use one of "), 0U);
    for (const std::string& name : instruction_sets()) {
      EXPECT_NE(text.find(name), std::string::npos) << text;
    }
  }
}

TEST(UseInstructionSet, BindsTheKernels) {
  const std::vector<std::string> names = instruction_sets();
  const std::string best = instruction_set();
  EXPECT_EQ(best, names.front());
  EXPECT_EQ(std::find(names.begin(), names.end(), "AMX") != names.end(), detail::amx_is_usable());
  for (const std::string& name : names) {
    use_instruction_set(name);
    EXPECT_EQ(instruction_set(), name);
    EXPECT_EQ(detail::matrix_unit_in_use(),
              name == "AMX" ? detail::MatrixUnit::kAmx : detail::MatrixUnit::kNone);
    EXPECT_EQ(instruction_sets(), names);
    EXPECT_EQ(instruction_set(), name) << "asking what there is binds nothing";
  }
  use_instruction_set(best);
  EXPECT_EQ(instruction_set(), best);
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Attend, RowBlocksInTurnsAreRowBlocksAlone) {
  // 40 row blocks: one worker takes four at a time in turns, of which none reads all the keys at
  // once; 20 workers take each alone.
  const AttentionShape shape{.batch = 1,
                             .query_heads = 1,
                             .kv_heads = 1,
                             .query_len = 2560,
                             .key_len = 2560,
                             .head_dim = 64};
  const RandomProblem problem(shape, DType::kFloat32, true, 11);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 1}, {}, 12);
  for (const Walk kernel : {Walk::kDense, Walk::kTiles}) {
    const AttentionOutput turns = attend_by(kernel, problem.inputs, mask, 1);
    const AttentionOutput alone = attend_by(kernel, problem.inputs, mask, 20);
    EXPECT_TRUE(holds(check_same_output(turns, alone, shape))) << name_of(kernel);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, turns))) << name_of(kernel);
  }
}

TEST(Attend, OutputsLargerThanTheCachesEqualTheOracleOnEveryTarget) {
  const AttentionShape shape{.batch = 1,
                             .query_heads = 8,
                             .kv_heads = 8,
                             .query_len = 2112,
                             .key_len = 130,
                             .head_dim = 64};
  ASSERT_GE(shape.rows() * shape.head_dim * 4, std::int64_t{4} << 20);
  const RandomProblem problem(shape, DType::kFloat32, false, 31);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 8}, {}, 32);
  for_each_target([&](const char* target) {
    const AttentionOutput output = attend_by(Walk::kTiles, problem.inputs, mask, 2);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, output))) << target;
  });
}

TEST(Attend, EveryTargetEqualsTheOracle) {
  const AttentionShape shape{
      .batch = 1, .query_heads = 4, .kv_heads = 2, .query_len = 70, .key_len = 150, .head_dim = 20};
  std::set<std::string> names;
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const RandomProblem problem(shape, dtype, true, 5);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 6);
    for_each_instruction_set([&](const char* target) {
      names.insert(instruction_set());
      EXPECT_EQ(instruction_set(), target);
      for (const Walk kernel : kKernels) {
        EXPECT_TRUE(
            holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 1))))
            << target << " " << name_of(kernel);
      }
    });
  }
  const std::vector<std::string> all = instruction_sets();
  EXPECT_EQ(names, std::set<std::string>(all.begin(), all.end()));
}

TEST(Attend, EveryHeadDimEqualsTheOracleOnEveryTarget) {
  std::vector<std::int64_t> dims = {7, 33, 250};
  for (std::int64_t dim = 8; dim <= 256; dim += 8) dims.push_back(dim);
  for (const std::int64_t dim : dims) {
    // Two row blocks of more rows than a step takes, three tiles, the last one short.
    const AttentionShape shape{.batch = 1,
                               .query_heads = 2,
                               .kv_heads = 1,
                               .query_len = 75,
                               .key_len = 133,
                               .head_dim = dim};
    const DType dtype = static_cast<DType>(dim / 8 % 3);
    const RandomProblem problem(shape, dtype, true, 5);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 2}, {.sampled = true}, 6);
    for_each_instruction_set([&](const char* target) {
      for (const Walk kernel : {Walk::kDense, Walk::kTiles}) {
        SCOPED_TRACE(::testing::Message() << target << " head_dim " << dim << " " << name_of(dtype)
                                          << " " << name_of(kernel));
        EXPECT_TRUE(
            holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 2))));
      }
    });
  }
}

TEST(Attend, TilesSharedByManyRowBlocksEqualTheOracleOnEveryTarget) {
  // Every dtype reads shared tiles: eight row blocks of one kv head, and steps of several tiles.
  const AttentionShape shape{.batch = 1,
                             .query_heads = 2,
                             .kv_heads = 1,
                             .query_len = 230,
                             .key_len = 333,
                             .head_dim = 40};
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const bool causal : {false, true}) {
      const RandomProblem problem(shape, dtype, causal, 7);
      const Mask mask = Mask::full(problem.inputs.visibility);
      for_each_instruction_set([&](const char* target) {
        SCOPED_TRACE(::testing::Message() << target << " " << name_of(dtype) << " " << causal);
        const AttentionOutput output = attend_by(Walk::kDense, problem.inputs, mask, 1);
        EXPECT_TRUE(holds(check_output(problem.inputs, mask, output)));
        EXPECT_TRUE(holds(
            check_same_output(output, attend_by(Walk::kDense, problem.inputs, mask, 3), shape)));
      });
    }
  }
}

TEST(Attend, AStepSkipsTilesThatNoneOfItsRowsTouch) {
  // Each row attends to one tile of its own; one row to none. Values elsewhere would show.
  constexpr std::size_t kEmptyRow = 3;
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 64, .key_len = 320, .head_dim = 24};
  const RandomProblem problem(shape, DType::kFloat32, false, 9);
  std::vector<float> weights(64 * 320);
  for (std::size_t row = 0; row < 64; ++row) {
    const std::size_t tile = row / 13;
    for (std::size_t key = 0; row != kEmptyRow && key < 1 + row; ++key) {
      weights[row * 320 + tile * 64 + key] = 1;
    }
  }
  const Mask mask = from_dense(problem.inputs.visibility, {}, weights);
  for_each_instruction_set([&](const char* target) {
    const AttentionOutput output = attend_by(Walk::kTiles, problem.inputs, mask, 1);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, output))) << target;
    EXPECT_EQ(output.lse[kEmptyRow], -kInf);
  });
}

TEST(Attend, AnEmptyMaskGivesZerosAndMinusInfinity) {
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 1, .query_len = 3, .key_len = 100, .head_dim = 32};
  const RandomProblem problem(shape, DType::kFloat32, false, 1);
  const Mask mask = Mask::empty(problem.inputs.visibility);
  for (const Walk kernel : kKernels) {
    const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 2);
    for (const float value : output.out) EXPECT_EQ(value, 0.0F);
    for (const float value : output.lse) EXPECT_EQ(value, -kInf);
  }
}

TEST(Attend, StaleOutputIsOverwritten) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 2, .key_len = 2, .head_dim = 8};
  const RandomProblem problem(shape, DType::kFloat32, true, 1);
  AttentionOutput output;
  output.out.assign(99, 7.0F);
  output.lse.assign(99, 7.0F);
  const Mask mask = Mask::full(problem.inputs.visibility);
  attend(problem.inputs, make_cpu_plan(mask, shape, Walk::kTiles, Threads(1)), Threads(1), output);
  EXPECT_EQ(output.out.size(), 16U);
  EXPECT_EQ(output.lse.size(), 2U);
  EXPECT_TRUE(holds(check_output(problem.inputs, mask, output)));
}

TEST(Attend, LargeLogitsNeitherOverflowNorVanish) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 4, .key_len = 300, .head_dim = 64};
  RandomProblem problem(shape, DType::kFloat32, false, 3);
  problem.inputs.scale = 40;  // logits of some thousands, a softmax of one key
  const Mask mask = Mask::full(problem.inputs.visibility);
  for (const Walk kernel : kKernels) {
    const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 1);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, output)));
  }
}

TEST(Attend, SampledKeysAreWeightedByTheirProbability) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 1, .key_len = 2, .head_dim = 1};
  const float q = 0;
  const float k[] = {1, 1};
  const float v[] = {1, 5};
  const auto tensor = [](const float* data, std::int64_t length) {
    return TensorView{.data = data,
                      .batch = 1,
                      .heads = 1,
                      .length = length,
                      .dim = 1,
                      .batch_stride = length,
                      .head_stride = length,
                      .row_stride = 1};
  };
  const AttentionInputs inputs{.shape = shape,
                               .q = tensor(&q, 1),
                               .k = tensor(k, 2),
                               .v = tensor(v, 2),
                               .visibility = Visibility::all(1, 2)};
  const float weights[] = {1.0F, 0.25F};
  const Mask mask = from_dense(inputs.visibility, {}, weights);
  for (const Walk kernel : kKernels) {
    const AttentionOutput output = attend_by(kernel, inputs, mask, 1);
    // The second key counts four times: (1 + 4 * 5) / 5.
    ASSERT_EQ(output.out.size(), 1U);
    EXPECT_NEAR(output.out.front(), 4.2, 1e-6);
    EXPECT_NEAR(output.lse.front(), std::log(5.0), 1e-6);
  }
}

TEST(Attend, KeySplitsEqualTheOracle) {
  // One row block of 128 and more key blocks is split; the last splits hold no key of row 0.
  const AttentionShape shape{
      .query_heads = 3, .kv_heads = 1, .query_len = 1, .key_len = 9000, .head_dim = 32};
  const RandomProblem problem(shape, DType::kFloat32, false, 4);
  std::vector<float> weights(3 * 9000);
  std::mt19937 engine(3);
  for (std::size_t key = 0; key < 9000; ++key) {
    weights[key] = key < 100 ? 1 : 0;
    weights[9000 + key] = engine() % 2 == 0 ? 0.5F : 1.0F;
  }
  const Mask mask = from_dense(problem.inputs.visibility, {1, 3}, weights);
  for (const Walk kernel : kKernels) {
    const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 2);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, output))) << name_of(kernel);
    const float lse_of_last_head = output.lse.back();
    EXPECT_EQ(lse_of_last_head, -kInf);
    EXPECT_TRUE(holds(check_same_output(output, attend_by(kernel, problem.inputs, mask, 1), shape)))
        << name_of(kernel);
  }
}

TEST(Attend, OutputsAreBitIdenticalForAnyThreadCount) {
  for (const std::int64_t query_len : {1, 200}) {
    const AttentionShape shape{.batch = 2,
                               .query_heads = 6,
                               .kv_heads = 2,
                               .query_len = query_len,
                               .key_len = 700,
                               .head_dim = 64};
    const RandomProblem problem(shape, DType::kBFloat16, true, 8);
    const Mask mask = random_mask(problem.inputs.visibility, {2, 2}, {.sampled = true}, 9);
    for (const Walk kernel : kKernels) {
      EXPECT_TRUE(holds(check_output_is_repeatable(problem.inputs, mask, by(kernel))))
          << name_of(kernel);
    }
  }
}

TEST(Attend, PartsOfTheKeysMergeToTheWhole) {
  for (const std::int64_t query_len : {1, 70}) {
    const AttentionShape shape{
        .query_heads = 4, .kv_heads = 2, .query_len = query_len, .key_len = 300, .head_dim = 40};
    const RandomProblem problem(shape, DType::kFloat16, true, 8);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 9);
    const std::int64_t borders[] = {1, 64, 200, 299};
    for (const Walk kernel : kKernels) {
      const auto attend_with_kernel = [&](const AttentionInputs& inputs, const Mask& part) {
        return attend_by(kernel, inputs, part, 2);
      };
      EXPECT_TRUE(
          holds(rules::check_merge_of_parts(problem.inputs, mask, attend_with_kernel, borders)))
          << name_of(kernel);
    }
  }
}

TEST(Attend, EveryKernelEqualsTheOracleOnEveryKindOfData) {
  for (const rules::DataKind kind : rules::all_data_kinds()) {
    // Their rows have allowances of their own: the rounding of a logit or of a sum that cancels.
    if (kind == rules::DataKind::kLargeLogits || kind == rules::DataKind::kCancellingValues)
      continue;
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      const RandomProblem problem(
          {.shape = {1, 6, 2, 33, 150, 20}, .dtype = dtype, .causal = true, .kind = kind});
      const Mask mask = random_mask(problem.inputs.visibility, {1, 6}, {.sampled = true}, 9);
      for (const Walk kernel : kKernels) {
        EXPECT_TRUE(
            holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 1))))
            << name_of(kernel) << " " << name_of(dtype) << " " << rules::name_of(kind);
      }
    }
  }
}

TEST(Attend, GivenPositionsBoundWhatIsRead) {
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 1, .query_len = 3, .key_len = 300, .head_dim = 32};
  RandomProblem problem(shape, DType::kFloat32, false, 2);
  problem.inputs.visibility = Visibility::at_positions({0, 250, 70}, 300, true);
  const Mask mask = Mask::full(problem.inputs.visibility);
  for (const Walk kernel : kKernels) {
    const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 2);
    EXPECT_TRUE(holds(check_output(problem.inputs, mask, output))) << name_of(kernel);
  }
}

TEST(Attend, ARowThatSeesANaNIsNaNAndNoOther) {
  // Query i sees keys 0 ... key_len - query_len + i.
  for (const auto& lengths :
       {std::tuple(70, 200, 150), std::tuple(1, 9000, 4000), std::tuple(1, 100, 99)}) {
    const int query_len = std::get<0>(lengths);
    const int key_len = std::get<1>(lengths);
    const int bad = std::get<2>(lengths);
    const AttentionShape shape{.query_heads = 2,
                               .kv_heads = 1,
                               .query_len = query_len,
                               .key_len = key_len,
                               .head_dim = 32};
    RandomProblem problem(shape, DType::kFloat32, true, 6);
    const auto* keys = static_cast<const float*>(problem.inputs.k.data);
    std::vector<float> values(keys, keys + std::ptrdiff_t{key_len} * 32);
    values[static_cast<std::size_t>(bad) * 32] = std::bit_cast<float>(0x7FC001FF);
    const Tensor k = Tensor::from_floats(DType::kFloat32, 1, 1, key_len, 32, values.data());
    problem.inputs.k = k.view();
    const Mask mask = Mask::full(problem.inputs.visibility);
    for_each_instruction_set([&](const char* target) {
      for (const Walk kernel : kKernels) {
        const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 1);
        for (std::size_t row = 0; row < output.lse.size(); ++row) {
          const bool sees = key_len - query_len + static_cast<int>(row) % query_len >= bad;
          EXPECT_EQ(std::isnan(output.lse[row]), sees) << target << name_of(kernel) << row;
          for (std::size_t d = 0; d < 32; ++d) {
            EXPECT_EQ(std::isnan(output.out[row * 32 + d]), sees) << target << name_of(kernel);
          }
        }
      }
    });
  }
}

TEST(Attend, APlanOfAnotherShapeIsRefused) {
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 1, .query_len = 3, .key_len = 30, .head_dim = 8};
  const RandomProblem problem(shape, DType::kFloat32, false, 2);
  CpuPlan plan =
      make_cpu_plan(Mask::full(problem.inputs.visibility), shape, Walk::kDense, Threads(1));
  plan.shape.head_dim = 9;
  AttentionOutput output;
  try {
    attend(problem.inputs, plan, Threads(1), output);
    FAIL() << "no error";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(
        error.what(),
        "the plan is for shape (1, 2, 1, 3, 30, 9), the inputs have shape (1, 2, 1, 3, 30, 8)");
  }
}

}  // namespace
}  // namespace maskerade
