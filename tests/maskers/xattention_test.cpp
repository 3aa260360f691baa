#include <fstream>
#include <numeric>
#include <set>

#include "tests/maskers/block_checks.hpp"

namespace maskerade {
namespace {

struct XAttention {
  std::string threshold = "0.9";
  std::int64_t block = 16;
  std::int64_t stride = 4;
  std::string share = "query_head";
  std::string reduce = "sum";

  MaskerUse use() const {
    return maskerade::use("xattention", {{"threshold", threshold},
                                         {"block", std::to_string(block)},
                                         {"stride", std::to_string(stride)},
                                         {"share", share},
                                         {"reduce", reduce}});
  }
};

std::int64_t floor_of(std::int64_t position, std::int64_t step) {
  return static_cast<std::int64_t>(
      std::floor(static_cast<double>(position) / static_cast<double>(step)));
}

// The estimated masses of the key blocks for one block row, from the definition: of each stride of
// queries and of keys, the pairs whose offsets add up to stride - 1.
std::vector<double> masses_of(const XAttention& how,
                              const MaskerProblem& problem,
                              std::int64_t b,
                              std::int64_t head,
                              const std::vector<std::int64_t>& queries) {
  const AttentionShape& shape = problem.shape();
  const Visibility& visibility = problem.inputs().visibility;
  const std::int64_t columns = (shape.key_len + how.stride - 1) / how.stride;
  std::vector<double> masses(static_cast<std::size_t>((shape.key_len + how.block - 1) / how.block));
  std::set<std::int64_t> strides;
  for (const std::int64_t i : queries) strides.insert(floor_of(visibility.position(i), how.stride));
  for (const std::int64_t stride : strides) {
    std::vector<double> logits;
    for (std::int64_t column = 0; column < columns; ++column) {
      if (visibility.is_causal() && column > stride) break;
      double logit = 0;
      for (const std::int64_t i : queries) {
        const std::int64_t offset = visibility.position(i) - stride * how.stride;
        const std::int64_t key = column * how.stride + how.stride - 1 - offset;
        if (offset < 0 || offset >= how.stride || key >= shape.key_len) continue;
        const auto q = MaskerProblem::row_of(problem.inputs().q, b, head, i);
        const auto k = MaskerProblem::row_of(problem.inputs().k, b, shape.kv_head_of(head), key);
        logit += std::inner_product(q.begin(), q.end(), k.begin(), 0.0);
      }
      logits.push_back(double{problem.inputs().scale} * logit / static_cast<double>(how.stride));
    }
    const std::vector<double> weights = softmax_of(logits);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      masses[static_cast<std::size_t>(static_cast<std::int64_t>(j) * how.stride / how.block)] +=
          weights[j];
    }
  }
  return masses;
}

void expect_xattention(const XAttention& how,
                       const MaskerProblem& problem,
                       const MaskerUse& masker,
                       const std::vector<double>& thresholds) {
  const Visibility& visibility = problem.inputs().visibility;
  expect_keys(run({masker}, problem).mask, problem, [&](auto b, auto h, auto i) {
    const std::vector<std::int64_t> queries = block_row_of(problem, i, how.block);
    const auto [first, end] = sharing_heads(problem.shape(), how.share, h);
    std::vector<double> masses = masses_of(how, problem, b, first, queries);
    for (std::int64_t head = first + 1; head < end; ++head) {
      const std::vector<double> more = masses_of(how, problem, b, head, queries);
      for (std::size_t j = 0; j < masses.size(); ++j) {
        masses[j] = how.reduce == "sum" ? masses[j] + more[j] : std::max(masses[j], more[j]);
      }
    }
    const double threshold = thresholds[static_cast<std::size_t>(h) % thresholds.size()];
    const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
    std::set<std::size_t> chosen;
    double taken = 0;
    const auto take = [&](std::size_t block) {
      if (chosen.insert(block).second) taken += masses[block];
    };
    if (visibility.is_causal()) {
      take(0);
      take(static_cast<std::size_t>(floor_of(visibility.position(i), how.block)));
    }
    while (chosen.size() < masses.size() && (threshold == 1 || taken < threshold * total)) {
      std::size_t best = masses.size();
      for (std::size_t j = 0; j < masses.size(); ++j) {
        if (!chosen.contains(j) && (best == masses.size() || masses[j] > masses[best])) best = j;
      }
      take(best);
    }
    std::vector<std::int64_t> keys;
    for (std::int64_t key = 0; key < visibility.end(i); ++key) {
      if (chosen.contains(static_cast<std::size_t>(key / how.block))) keys.push_back(key);
    }
    return keys;
  });
}
void expect_xattention(const XAttention& how, const MaskerProblem& problem) {
  expect_xattention(how, problem, how.use(), {std::stod(how.threshold)});
}

TEST(XAttention, TakesTheFewestBlocksThatReachTheThreshold) {
  for (const AttentionShape& shape : edge_shapes()) {
    for (const bool causal : {false, true}) {
      const MaskerProblem problem(shape, {.causal = causal});
      expect_xattention({.threshold = "0.8"}, problem);
      expect_xattention({.threshold = "0.5", .block = 24, .stride = 8}, problem);
    }
  }
}

TEST(XAttention, StridesAndBlocksOfOneToken) {
  const MaskerProblem problem({1, 2, 1, 40, 60, 8}, {.causal = true, .dtype = DType::kBFloat16});
  expect_xattention({.threshold = "0.7", .block = 1, .stride = 1}, problem);
  expect_xattention({.threshold = "0.7", .block = 4, .stride = 4}, problem);
  expect_xattention({.threshold = "0.7", .block = 128, .stride = 8}, problem);
}

TEST(XAttention, MoreQueriesThanKeysWhenNotCausal) {
  expect_xattention({.threshold = "0.6"}, MaskerProblem({1, 2, 2, 70, 50, 8}));
}

TEST(XAttention, SharingHeadsPoolTheirMasses) {
  const MaskerProblem problem({2, 6, 2, 40, 100, 8}, {.causal = true});
  for (const std::string share : {"kv_head", "all"}) {
    for (const std::string reduce : {"sum", "max"}) {
      expect_xattention({.threshold = "0.7", .share = share, .reduce = reduce}, problem);
    }
  }
}

TEST(XAttention, ThresholdOneIsEveryBlockAndZeroTheForcedOnes) {
  const MaskerProblem problem({1, 2, 1, 130, 130, 8}, {.causal = true});
  EXPECT_EQ(density(run({XAttention{.threshold = "1"}.use()}, problem).mask), 1);
  expect_dense_attention(run({XAttention{.threshold = "1"}.use()}, problem).mask, problem);
  expect_xattention({.threshold = "0"}, problem);
}

TEST(XAttention, EqualKeysFillTheFirstBlocksFirst) {
  const MaskerProblem problem({1, 1, 1, 64, 64, 8}, {.equal_keys = 64});
  const Mask mask = run({XAttention{.threshold = "0.5"}.use()}, problem).mask;
  EXPECT_EQ(keys_of(mask, 0, 0, 0).size(), 32U);
  EXPECT_EQ(keys_of(mask, 0, 0, 0).back(), 31);
}

TEST(XAttention, ReadsTheKeysOfAGroupOnceAtDecode) {
  expect_keys_read_once_at_decode("xattention", {{"", "0.5"}, {"block", "32"}, {"stride", "8"}});
}

TEST(XAttention, KeepsTheRulesOfASelection) {
  for (const std::string share : {"query_head", "kv_head"}) {
    expect_selection_rules({XAttention{.block = 24, .stride = 8, .share = share}.use()},
                           MaskerProblem({2, 4, 2, 230, 300, 8}, {.causal = true}));
  }
}

// Of 65 queries at positions -64 to 0 the last is a unit of its own, and with small chunks the only
// query of a call.
TEST(XAttention, ReadsAsMuchWhateverTheChunks) {
  expect_selection_rules({XAttention{.block = 128, .stride = 8, .share = "all"}.use()},
                         MaskerProblem({1, 3, 1, 65, 1, 8}));
}

// A safetensors file of one float32 tensor.
std::string threshold_file(const std::string& name,
                           const std::string& shape,
                           const std::vector<float>& values) {
  const std::string path = testing::TempDir() + name + ".safetensors";
  std::string header = "{\"threshold\":{\"dtype\":\"F32\",\"shape\":" + shape +
                       ",\"data_offsets\":[0," + std::to_string(values.size() * 4) + "]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), 8);
  file.write(header.data(), static_cast<std::streamsize>(size));
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * 4));
  return path;
}

MaskerUse with_file(const std::string& file) {
  return use("xattention", {{"thresholds", file}, {"block", "16"}, {"stride", "4"}});
}

TEST(XAttention, ThresholdsOfAFileArePerHeadAndMayBePerLayer) {
  const MaskerProblem problem({1, 3, 1, 40, 100, 8}, {.causal = true});
  const std::vector<double> thresholds = {0.25, 0.5, 0.875};
  expect_xattention({}, problem, with_file(threshold_file("heads", "[3]", {0.25, 0.5, 0.875})),
                    thresholds);
  expect_xattention({}, problem,
                    with_file(threshold_file("layers", "[2,3]", {0.25, 0.5, 0.875, 0, 0, 0})),
                    thresholds);
}

std::string refusal(const MaskerUse& masker, std::int64_t layer = 0) {
  const MaskerProblem problem({1, 3, 1, 4, 8, 4});
  AttentionInputs inputs = problem.inputs();
  inputs.layer = layer;
  try {
    const Threads threads(1);
    Pipeline({masker}).prepare(inputs, {}, threads);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return text.substr(
        text.rfind(".safetensors") == std::string::npos ? 0 : text.rfind(".safetensors") + 12);
  }
  return "";
}

TEST(XAttention, BadArgumentsAndFilesSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("xattention", {{"threshold", "1.5"}}),
            "\"threshold\" is 1.5; it must be in [0, 1]");
  EXPECT_TRUE(error_of("xattention", {{"block", "12"}})
                  .ends_with("block is 12; it must be a multiple of stride, 8"));
  EXPECT_EQ(error_of("xattention", {{"thresholds", "/no/such.safetensors"}}),
            "\"thresholds\" is \"/no/such.safetensors\", which is not a file that can be read");
  EXPECT_EQ(refusal(with_file(threshold_file("two", "[2]", {0.5, 0.5}))),
            ": tensor \"threshold\": its shape is [2]; it must be [query_heads] = [3]");
  EXPECT_EQ(refusal(with_file(threshold_file("narrow", "[2,2]", {0, 0, 0, 0}))),
            ": tensor \"threshold\": its shape is [2, 2]; it must be [layers, query_heads] = [any, "
            "3]");
  EXPECT_EQ(refusal(with_file(threshold_file("one", "[1,3]", {0, 0, 0})), 1),
            ": tensor \"threshold\": it has 1 layers, and none for layer 1");
  EXPECT_EQ(refusal(with_file(threshold_file("high", "[3]", {0, 2, 0}))),
            ": tensor \"threshold\": it holds 2.000000; thresholds must be in [0, 1]");
}

}  // namespace
}  // namespace maskerade
