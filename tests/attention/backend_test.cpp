// What every backend must do, through its interface alone. On the CPU here; on a CUDA device, and
// on an emulated one, as part of the tests of the CUDA backend.

#include "attention/backend/backend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "attention/backend/merge_outputs.hpp"
#include "attention/backend_table.hpp"
#include "attention/reference/row_judgement.hpp"
#include "attention/research_attention.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/attention/random_problem.hpp"
#include "tests/experiments/rules/planted_masker.hpp"
#include "tests/experiments/rules/positive_keys.hpp"

namespace maskerade {
namespace {

class EveryBackend : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const std::string absence = find_backend(GetParam()).absence(); !absence.empty()) {
      GTEST_SKIP() << absence;
    }
  }

  std::unique_ptr<Backend> open(const AttentionInputs& inputs) const {
    return open_backend(GetParam(), inputs, {.threads = Threads(2)});
  }
};

AttentionShape small_shape() {
  return {
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 7, .key_len = 140, .head_dim = 40};
}

AttentionOutput attend_to(Backend& backend, const Mask& mask, std::string_view kernel) {
  const auto selected = backend.take(mask);
  const KernelPlan planned = plan_for(backend, *selected, kernel);
  AttentionOutput output;
  backend.time(Stage::kAttend, {}, [&] { planned.attend(backend, output); });
  backend.fetch(*planned.plan, output);
  return output;
}

// The largest error of out and lse over all rows.
double worst_error(const AttentionInputs& inputs, const Mask& mask, const AttentionOutput& output) {
  const AttentionShape& shape = inputs.shape;
  double worst = 0;
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t head = row / shape.query_len;
    const OracleRow oracle = oracle_row(inputs, mask, head / shape.query_heads,
                                        head % shape.query_heads, row % shape.query_len);
    worst = std::max(worst, out_error(oracle, output.out.data() + row * shape.head_dim));
    const double lse = output.lse[static_cast<std::size_t>(row)];
    if (std::isinf(oracle.lse) || std::isinf(lse)) {
      if (lse != oracle.lse) return std::numeric_limits<double>::infinity();
      continue;
    }
    worst = std::max(worst, std::abs(lse - oracle.lse));
  }
  return worst;
}

TEST_P(EveryBackend, AttendsByEveryKernelThatTakesTheMask) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  const auto backend = open(problem.inputs);
  EXPECT_EQ(backend->name(), GetParam());
  for (const bool is_full : {false, true}) {
    const Mask mask = is_full
                          ? Mask::full(problem.inputs.visibility)
                          : random_mask(problem.inputs.visibility, {2, 4}, {.sampled = true}, 4);
    int attended = 0;
    for (const KernelRow& row : kernel_table()) {
      if (row.backend != GetParam()) continue;
      SCOPED_TRACE(row.name);
      try {
        EXPECT_LE(worst_error(problem.inputs, mask, attend_to(*backend, mask, row.name)), 1e-5);
        ++attended;
      } catch (const UnavailableError& refusal) {
        EXPECT_STRNE(refusal.what(), "");
      }
    }
    EXPECT_GE(attended, 4);
  }
}

TEST_P(EveryBackend, APlanSaysWhatItReads) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  const auto backend = open(problem.inputs);
  const auto selected = backend->take(Mask::full(problem.inputs.visibility));
  EXPECT_EQ(selected->on_host(), Mask::full(problem.inputs.visibility));
  EXPECT_TRUE(selected->is_intact());
  EXPECT_TRUE(selected->maskers().empty());
  const KernelPlan planned = plan_for(*backend, *selected, "dense");
  EXPECT_TRUE(planned.plan->kernel_mix().starts_with("dense")) << planned.plan->kernel_mix();
  EXPECT_GT(planned.plan->size_bytes(), 0);
  // Each kv head's keys and values at least once, 4 bytes a number.
  EXPECT_GE(planned.plan->kv_bytes_touched(), 2 * 2 * 2 * 140 * 40 * 4);
}

TEST_P(EveryBackend, StagesInTurnAreARun) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 5);
  const auto backend = open(problem.inputs);
  const ResearchAttention attention(Pipeline({rules::planted<rules::PositiveKeys>()}), "rows");
  const auto prepared = attention.prepare(*backend, {});
  const auto selected = prepared->select();
  EXPECT_EQ(selected->maskers().size(), 1U);
  EXPECT_GT(density(selected->on_host()), 0.2);
  EXPECT_LT(density(selected->on_host()), 0.8);
  const KernelPlan planned = attention.plan(*backend, *selected);
  AttentionOutput in_turn;
  planned.attend(*backend, in_turn);
  backend->fetch(*planned.plan, in_turn);
  EXPECT_LE(worst_error(problem.inputs, selected->on_host(), in_turn), 1e-5);
  const AttentionOutput at_once = attention.run(*backend);
  EXPECT_EQ(at_once.out, in_turn.out);
  EXPECT_EQ(at_once.lse, in_turn.lse);
}

// The keys [0, count) of a problem and its last query.
AttentionInputs first_keys(const RandomProblem& problem, std::int64_t count) {
  AttentionInputs inputs = problem.inputs;
  inputs.shape.key_len = inputs.k.length = inputs.v.length = count;
  inputs.visibility = Visibility::causal(1, count);
  return inputs;
}

TEST_P(EveryBackend, SelectionsGrowAndShrinkWithTheSequence) {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 200, .head_dim = 32};
  const RandomProblem problem(shape, DType::kFloat32, true, 10);
  const Pipeline pipeline({rules::planted<rules::PositiveKeys>()});
  const auto backend = open(first_keys(problem, 63));
  const auto growing = backend->prepare(pipeline.load(backend->inputs(), {}));
  const auto expect_whole = [&](std::int64_t count) {
    const auto whole = open(first_keys(problem, count));
    EXPECT_EQ(growing->select()->on_host(),
              whole->prepare(pipeline.load(whole->inputs(), {}))->select()->on_host());
  };
  for (const std::int64_t count : {64, 130, 200}) {
    SCOPED_TRACE(count);
    backend->show(first_keys(problem, count));
    growing->append(first_keys(problem, count));
    expect_whole(count);
  }
  growing->truncate(first_keys(problem, 70));
  backend->show(first_keys(problem, 70));
  expect_whole(70);
}

// Keys that were taken back may be others when they come again.
TEST_P(EveryBackend, ReadsKeysThatReplaceThoseTakenBack) {
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 1, .query_len = 1, .key_len = 80, .head_dim = 32};
  const RandomProblem first(shape, DType::kFloat32, true, 1);
  const RandomProblem second(shape, DType::kFloat32, true, 2);
  const std::size_t size = 80 * 32 * sizeof(float);
  std::vector<std::byte> keys(size);
  std::memcpy(keys.data(), first.inputs.k.data, size);
  AttentionInputs inputs = first.inputs;
  inputs.k.data = keys.data();
  const auto shown = [&](std::int64_t count) {
    AttentionInputs some = inputs;
    some.shape.key_len = some.k.length = some.v.length = count;
    some.visibility = Visibility::causal(1, count);
    return some;
  };
  const auto backend = open(shown(80));
  backend->show(shown(60));
  std::memcpy(keys.data() + 60 * 32 * sizeof(float),
              static_cast<const std::byte*>(second.inputs.k.data) + 60 * 32 * sizeof(float),
              20 * 32 * sizeof(float));
  backend->show(shown(80));
  const Mask mask = Mask::full(inputs.visibility);
  EXPECT_LE(worst_error(inputs, mask, attend_to(*backend, mask, "auto")), 1e-5);
}

TEST_P(EveryBackend, RefusesAnotherSequenceAndAMaskOfOtherLengths) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  const RandomProblem other(small_shape(), DType::kFloat32, true, 4);
  const auto backend = open(problem.inputs);
  EXPECT_THROW(backend->show(other.inputs), ShapeError);
  const auto mask = backend->take(Mask::full(problem.inputs.visibility));
  AttentionInputs fewer = problem.inputs;
  fewer.shape.key_len = fewer.k.length = fewer.v.length = 130;
  fewer.visibility = Visibility::causal(7, 130);
  backend->show(fewer);
  EXPECT_THROW(plan_for(*backend, *mask, "tiles"), ShapeError);
}

TEST_P(EveryBackend, PartsOverDisjointKeysMergeToTheWhole) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 6);
  const auto backend = open(problem.inputs);
  const Mask mask =
      random_mask(problem.inputs.visibility, {2, 4}, {.keys = 0.05, .sampled = true}, 7);
  std::vector<AttentionOutput> parts;
  for (const auto& [begin, end] :
       std::initializer_list<std::pair<int, int>>{{0, 1}, {1, 64}, {64, 100}, {100, 140}}) {
    parts.push_back(attend_to(*backend, keys_between(mask, begin, end), "auto"));
  }
  EXPECT_LE(worst_error(problem.inputs, mask, merge_outputs(problem.inputs.shape, parts)), 1e-5);
}

TEST_P(EveryBackend, WeightsGiveTheOutput) {
  const AttentionShape shape = small_shape();
  const RandomProblem problem(shape, DType::kFloat32, true, 8);
  const auto backend = open(problem.inputs);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 9);
  const AttentionWeights weighed = backend->weigh(*backend->take(mask));
  ASSERT_EQ(weighed.offsets.size(), static_cast<std::size_t>(shape.rows()) + 1);
  AttentionOutput output = attend_to(*backend, mask, "auto");
  std::vector<float> v(static_cast<std::size_t>(shape.head_dim));
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t head = row / shape.query_len % shape.query_heads;
    std::vector<double> expected(v.size());
    double sum = 0;
    for (std::int64_t i = weighed.offsets[static_cast<std::size_t>(row)];
         i < weighed.offsets[static_cast<std::size_t>(row) + 1]; ++i) {
      const auto entry = static_cast<std::size_t>(i);
      problem.inputs.v.load_row(row / shape.query_len / shape.query_heads, shape.kv_head_of(head),
                                weighed.keys[entry], v.data());
      for (std::size_t d = 0; d < v.size(); ++d) {
        expected[d] += double{weighed.weights[entry]} * double{v[d]};
      }
      sum += weighed.weights[entry];
    }
    EXPECT_NEAR(sum,
                weighed.offsets[static_cast<std::size_t>(row) + 1] >
                        weighed.offsets[static_cast<std::size_t>(row)]
                    ? 1
                    : 0,
                1e-5);
    for (std::size_t d = 0; d < v.size(); ++d) {
      EXPECT_NEAR(output.out[static_cast<std::size_t>(row) * v.size() + d], expected[d], 1e-4);
    }
  }
}

TEST_P(EveryBackend, GrowsAndShrinksWithItsSequence) {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 200, .head_dim = 32};
  const RandomProblem problem(shape, DType::kFloat32, true, 10);
  const auto backend = open(first_keys(problem, 63));
  for (const std::int64_t count : {64, 65, 200, 70}) {
    SCOPED_TRACE(count);
    backend->show(first_keys(problem, count));
    EXPECT_EQ(backend->inputs().shape.key_len, count);
    const Mask mask = random_mask(backend->inputs().visibility, {1, 4}, {.sampled = true}, 11);
    EXPECT_LE(worst_error(backend->inputs(), mask, attend_to(*backend, mask, "auto")), 1e-5);
  }
}

TEST_P(EveryBackend, RunsATimedStageOnce) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  const auto backend = open(problem.inputs);
  for (const Stage stage : {Stage::kPrepare, Stage::kSelect, Stage::kPlan, Stage::kAttend}) {
    int calls = 0;
    const StageTime time = backend->time(stage, {}, [&] { ++calls; });
    EXPECT_TRUE(std::isfinite(time.ms));
    EXPECT_FALSE(time.launch_ms);
    EXPECT_EQ(calls, 1);
  }
}

TEST_P(EveryBackend, RefusesAMaskOfAnotherShape) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  EXPECT_THROW(open(problem.inputs)->take(Mask::full(Visibility::all(7, 141))), ShapeError);
}

INSTANTIATE_TEST_SUITE_P(Of,
                         EveryBackend,
                         ::testing::ValuesIn(backend_names()),
                         [](const auto& device) { return device.param; });

TEST(BackendTable, NamesWhatThereIs) {
  EXPECT_EQ(backend_names(), (std::vector<std::string>{"cpu", "cuda"}));
  try {
    find_backend("tpu");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "there is no backend \"tpu\"; there are cpu, cuda");
  }
}

TEST(BackendTable, AnAbsentBackendSaysWhy) {
  const RandomProblem problem({.head_dim = 64}, DType::kFloat32, false, 1);
  for (const BackendRow& row : backend_table()) {
    if (row.absence().empty()) continue;
    try {
      open_backend(row.name, problem.inputs);
      FAIL() << "no error";
    } catch (const UnavailableError& error) {
      EXPECT_EQ(error.what(), row.absence());
    }
  }
}

TEST(KernelTable, BeginsWithAutoAndHasADenseKernelForEachBackend) {
  for (const std::string& backend : backend_names()) {
    std::vector<KernelRow> rows;
    for (const KernelRow& row : kernel_table()) {
      if (row.backend == backend) rows.push_back(row);
    }
    ASSERT_FALSE(rows.empty()) << backend;
    EXPECT_EQ(rows.front().name, "auto");
    EXPECT_TRUE(
        std::any_of(rows.begin(), rows.end(), [](const KernelRow& row) { return row.is_dense; }));
    for (const KernelRow& row : rows) {
      EXPECT_FALSE(row.summary.empty() || row.serves.empty()) << row.name;
    }
  }
}

TEST(KernelTable, ABackendWithoutTheKernelListsThoseThatItHas) {
  try {
    find_kernel("cpu", "cudnn");
    FAIL() << "no error";
  } catch (const UnavailableError& error) {
    EXPECT_STREQ(error.what(),
                 "the cpu backend has no kernel \"cudnn\"; it has auto, dense, tiles, rows");
  }
}

TEST(KernelMix, IsByShareAndThenByOrder) {
  EXPECT_EQ(kernel_mix({}), "");
  EXPECT_EQ(kernel_mix({{"tiles", 0}}), "");
  EXPECT_EQ(kernel_mix({{"dense", 0}, {"tiles", 3}}), "tiles");
  EXPECT_EQ(kernel_mix({{"dense", 18}, {"tiles", 41}, {"rows", 0}, {"tiles", 41}}),
            "tiles 82%, dense 18%");
  EXPECT_EQ(kernel_mix({{"dense", 1}, {"tiles", 1}}), "dense 50%, tiles 50%");
  EXPECT_EQ(kernel_mix({{"dense", 999}, {"rows", 1}}), "dense >99%, rows <1%");
}

TEST(MergeOutputs, RefusesPartsOfAnotherShape) {
  AttentionShape shape = small_shape();
  AttentionOutput part;
  part.resize(shape);
  EXPECT_THROW(merge_outputs(shape, {}), ShapeError);
  ++shape.query_len;
  EXPECT_THROW(merge_outputs(shape, std::vector{part}), ShapeError);
}

TEST(PredictedNs, FollowsTheCostModel) {
  const RandomProblem problem(small_shape(), DType::kFloat32, true, 3);
  const auto backend = open_backend("cpu", problem.inputs);
  const auto predicted = [&](const Mask& mask) {
    const auto selected = backend->take(mask);
    const KernelPlan planned = plan_for(*backend, *selected, "tiles");
    return planned.kernel->predicted_ns(*backend, *planned.plan).value();
  };
  const double full = predicted(Mask::full(problem.inputs.visibility));
  const double less = predicted(keys_between(Mask::full(problem.inputs.visibility), 0, 64));
  EXPECT_GT(less, 0);
  EXPECT_GT(full, less);
}

}  // namespace
}  // namespace maskerade
