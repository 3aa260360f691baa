#include "experiments/sources/structured.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/data/workload.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/sources/attention_statistics.hpp"
#include "tests/experiments/sources/mass_shares.hpp"
#include "tests/experiments/sources/source_for_test.hpp"

namespace maskerade {
namespace {

constexpr AttentionShape kShape = {
    .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 300, .key_len = 700, .head_dim = 32};

std::vector<std::int64_t> last_positions(const AttentionShape& shape) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(shape.query_len));
  std::iota(positions.begin(), positions.end(), shape.key_len - shape.query_len);
  return positions;
}

QkvTensors generate(const AttentionShape& shape, int threads = 1, std::uint64_t seed = 5) {
  return structured_tensors({.seed = seed}, shape, DType::kFloat32, true, 0.2F,
                            last_positions(shape), Threads(threads));
}

bool equal_rows(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j) {
  return std::memcmp(a.view().row(1, 1, i), b.view().row(1, 1, j),
                     static_cast<std::size_t>(a.view().dim) * sizeof(float)) == 0;
}

TEST(Structured, IsTheSameForAnyThreadCount) {
  const QkvTensors one = generate(kShape, 1);
  const QkvTensors three = generate(kShape, 3);
  for (const auto& [a, b] :
       {std::pair(&one.q, &three.q), std::pair(&one.k, &three.k), std::pair(&one.v, &three.v)}) {
    ASSERT_EQ(a->view().batch_stride, b->view().batch_stride);
    EXPECT_EQ(std::memcmp(a->view().data, b->view().data,
                          static_cast<std::size_t>(2 * a->view().batch_stride) * sizeof(float)),
              0);
  }
}

TEST(Structured, SeedsDiffer) {
  EXPECT_FALSE(equal_rows(generate(kShape, 1, 5).k, 9, generate(kShape, 1, 6).k, 9));
}

TEST(Structured, KeysAndQueriesBelongToPositionsNotToLengths) {
  AttentionShape shorter = kShape;
  shorter.query_len = 1;
  shorter.key_len = 500;
  const QkvTensors whole = generate(kShape);
  const QkvTensors part = generate(shorter);
  for (const std::int64_t j : {0, 17, 499}) {
    EXPECT_TRUE(equal_rows(whole.k, j, part.k, j));
    EXPECT_TRUE(equal_rows(whole.v, j, part.v, j));
  }
  // Query 499 - 400 of the longer one stands at position 499, too.
  EXPECT_TRUE(equal_rows(whole.q, 99, part.q, 0));
}

TEST(Structured, TheSmallestShapesAreFinite) {
  for (const bool causal : {false, true}) {
    const AttentionShape shape = {.head_dim = 16};
    const QkvTensors tensors =
        structured_tensors({.rank = 1000, .sinks = 9, .window = 100000}, shape, DType::kFloat32,
                           causal, 0.25F, last_positions(shape), Threads(1));
    for (const Tensor* tensor : {&tensors.q, &tensors.k, &tensors.v}) {
      for (std::size_t d = 0; d < 16; ++d) {
        EXPECT_TRUE(std::isfinite(static_cast<const float*>(tensor->view().data)[d]));
      }
    }
  }
}

AttentionStatistics statistics_of(const std::string& source,
                                  std::int64_t length,
                                  std::int64_t head_dim,
                                  bool causal) {
  WorkloadSpec spec;
  spec.source = source_of(source);
  spec.query_heads = 8;
  spec.kv_heads = 2;
  spec.query_len = length;
  spec.key_len = length;
  spec.head_dim = head_dim;
  spec.causal = causal;
  spec.queries = 64;
  return attention_statistics(load_workload(spec).inputs());
}

TEST(Structured, FewKeysHoldMostMassAndKeysSpanFewDirections) {
  for (const bool causal : {false, true}) {
    for (const std::int64_t length : {1024, 2048}) {
      for (const std::int64_t head_dim : {32, 64, 128}) {
        const AttentionStatistics s =
            statistics_of("{kind: structured, seed: 1}", length, head_dim, causal);
        const std::string where = std::to_string(length) + " keys, head_dim " +
                                  std::to_string(head_dim) + (causal ? ", causal" : "");
        EXPECT_GT(s.top_mass, 0.60) << where;
        EXPECT_LT(s.key_rank, 0.40) << where;
      }
    }
  }
}

// Masses asked for, and a workload on which they are measured.
struct MassCase {
  const char* name = "";
  double contrast = 2;
  std::int64_t key_len = 1024;
  std::int64_t head_dim = 64;
  bool causal = true;
  DType dtype = DType::kFloat32;
  std::int64_t query_heads = 4;
  std::int64_t kv_heads = 2;
  MassShares asked = {.sink = 0.2, .near = 0.25, .hitter = 0.15};
  std::int64_t sinks = 4;
  std::int64_t window = 64;
  const char* rope_base = "500000";
  std::int64_t queries = 48;
};

void PrintTo(const MassCase& given, std::ostream* stream) { *stream << given.name; }

class StructuredMass : public testing::TestWithParam<MassCase> {};

TEST_P(StructuredMass, LiesWhereItIsAimedAt) {
  const MassCase& given = GetParam();
  WorkloadSpec spec;
  spec.source = source_of(fmt::format(
      "{{kind: structured, seed: 3, contrast: {}, sinks: {}, window: {}, rope_base: {}, "
      "sink_mass: {}%, local_mass: {}%, hitter_mass: {}%}}",
      given.contrast, given.sinks, given.window, given.rope_base, 100 * given.asked.sink,
      100 * given.asked.near, 100 * given.asked.hitter));
  spec.query_heads = given.query_heads;
  spec.kv_heads = given.kv_heads;
  spec.query_len = given.key_len;
  spec.key_len = given.key_len;
  spec.head_dim = given.head_dim;
  spec.causal = given.causal;
  spec.dtype = given.dtype;
  spec.queries = given.queries;
  const Workload workload = load_workload(spec);
  const MassShares shares =
      mass_shares(workload.inputs(), given.sinks, given.window, std::min(given.key_len / 2, 1024L));
  ASSERT_GT(shares.rows, 32);
  EXPECT_NEAR(shares.sink, given.asked.sink, 0.02);
  EXPECT_NEAR(shares.near, given.asked.near, 0.02);
  EXPECT_NEAR(shares.hitter, given.asked.hitter, 0.02);
}

INSTANTIATE_TEST_SUITE_P(
    From1kTo16kKeys,
    StructuredMass,
    testing::Values(
        MassCase{.name = "plain"},
        MassCase{.name = "not_causal", .causal = false},
        MassCase{.name = "keys_4k", .key_len = 4096},
        MassCase{.name = "keys_16k_bfloat16",
                 .key_len = 16384,
                 .dtype = DType::kBFloat16,
                 .queries = 16},
        MassCase{.name = "keys_16k_contrast_10_float16",
                 .contrast = 10,
                 .key_len = 16384,
                 .causal = false,
                 .dtype = DType::kFloat16,
                 .queries = 16},
        MassCase{.name = "contrast_1", .contrast = 1},
        MassCase{.name = "contrast_4", .contrast = 4},
        MassCase{.name = "contrast_10", .contrast = 10},
        MassCase{.name = "contrast_10_not_causal_bfloat16",
                 .contrast = 10,
                 .causal = false,
                 .dtype = DType::kBFloat16},
        MassCase{
            .name = "contrast_10_head_dim_128", .contrast = 10, .key_len = 4096, .head_dim = 128},
        MassCase{.name = "head_dim_128_float16", .head_dim = 128, .dtype = DType::kFloat16},
        MassCase{.name = "one_head", .query_heads = 1, .kv_heads = 1, .queries = 128},
        MassCase{.name = "group_of_8", .contrast = 6, .query_heads = 8, .kv_heads = 1},
        MassCase{.name = "sinks_above_all",
                 .asked = {.sink = 0.6, .near = 0.1, .hitter = 0.05},
                 .sinks = 1},
        MassCase{.name = "near_above_all",
                 .key_len = 2048,
                 .asked = {.sink = 0.05, .near = 0.6, .hitter = 0.1},
                 .window = 128},
        MassCase{.name = "a_small_rope_base",
                 .contrast = 4,
                 .key_len = 16384,
                 .rope_base = "10000",
                 .queries = 16}),
    [](const testing::TestParamInfo<MassCase>& given) { return given.param.name; });

// A single step of decoding has the masses, too: heads differ about what is asked for.
TEST(Structured, OneQueryHasTheMassesOverItsHeads) {
  WorkloadSpec spec;
  spec.source = source_of("{kind: structured, seed: 2}");
  spec.query_heads = 8;
  spec.kv_heads = 2;
  spec.query_len = 1;
  spec.key_len = 5000;
  spec.head_dim = 64;
  spec.causal = true;
  const Workload workload = load_workload(spec);
  const MassShares shares = mass_shares(workload.inputs(), 4, 64, 1);
  EXPECT_NEAR(shares.sink, 0.2, 0.02);
  EXPECT_NEAR(shares.near, 0.25, 0.02);
  EXPECT_NEAR(shares.hitter, 0.15, 0.02);
}

TEST(Structured, AMassOfZeroTurnsATraitOff) {
  const AttentionStatistics with = statistics_of("{kind: structured, seed: 1}", 1024, 64, false);
  const AttentionStatistics without = statistics_of(
      "{kind: structured, seed: 1, sink_mass: 0, local_mass: 0, hitter_mass: 0}", 1024, 64, false);
  EXPECT_LT(without.sink_mass, 0.02);
  EXPECT_LT(without.local_mass, 0.25);
  EXPECT_LT(without.top_mass, with.top_mass);
}

// Real attention (two layers of a small encoder), beside structured and gaussian numbers of its
// shape. Gaussian mass is spread evenly: the first 4 of 512 keys hold 0.8 %, the heaviest 5 % hold
// P(N(1, 1) > 1.645) = 26 %.
TEST(Structured, IsLikeRealAttentionWhereGaussianIsNot) {
  const AttentionStatistics structured =
      statistics_of("{kind: structured, seed: 1}", 512, 32, false);
  const AttentionStatistics gaussian = statistics_of("{kind: gaussian, seed: 1}", 512, 32, false);
  EXPECT_LT(gaussian.sink_mass, 0.02);
  EXPECT_GT(gaussian.top_mass, 0.20);
  EXPECT_LT(gaussian.top_mass, 0.32);
  EXPECT_GT(gaussian.key_rank, 0.85);
  for (const int layer : {1, 5}) {
    const AttentionStatistics real = [&] {
      WorkloadSpec spec;
      spec.source = source_of("{kind: safetensors, file: data/minilm_l6_layer" +
                                  std::to_string(layer) + "_qkv.safetensors}",
                              EXPERIMENTS_FOLDER);
      spec.queries = 64;
      return attention_statistics(load_workload(spec).inputs());
    }();
    // What is asked of structured numbers holds for the real ones.
    for (const AttentionStatistics* s : {&structured, &real}) {
      EXPECT_GT(s->sink_mass, 3 * gaussian.sink_mass);
      EXPECT_GT(s->top_mass, gaussian.top_mass + 0.05);
      EXPECT_LT(s->key_rank, 0.5 * gaussian.key_rank);
      EXPECT_GT(s->local_mass, gaussian.local_mass);
    }
    RecordProperty("real_layer_" + std::to_string(layer) + "_top_mass",
                   std::to_string(real.top_mass));
  }
}

}  // namespace
}  // namespace maskerade
