#include "framework/pipeline/pipeline.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "experiments/rules/masker_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/pipeline/report_of.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

constexpr AttentionShape kSmall{2, 4, 2, 130, 200, 8};

TestProblem small_causal() {
  return TestProblem(kSmall, Visibility::causal(kSmall.query_len, kSmall.key_len));
}

// Calls check(query, key, probability) for every entry of a mask.
template <typename Check>
void for_each_entry(const Mask& mask, Check&& check) {
  for (std::int64_t b = 0; b < mask.extent().batch; ++b) {
    for (std::int64_t h = 0; h < mask.extent().heads; ++h) {
      for (std::int64_t i = 0; i < mask.query_len(); ++i) {
        for (std::int64_t k = 0; k < mask.key_len(); ++k) check(i, k, mask.probability(b, h, i, k));
      }
    }
  }
}

TEST(Pipeline, EmptySelectsNothing) {
  const Selection selection = run({}, small_causal());
  EXPECT_EQ(selection.mask, Mask::empty(small_causal().inputs().visibility));
  EXPECT_TRUE(selection.maskers.empty());
}

TEST(Pipeline, SinkAndLocalNeedOneCopyForAllHeads) {
  const TestProblem problem = small_causal();
  const Selection selection =
      run({use("sink", {{"", {"3"}}}), use("local", {{"", {"10"}}})}, problem);
  EXPECT_EQ(selection.mask.extent(), (MaskExtent{1, 1}));
  for_each_entry(selection.mask, [&](std::int64_t i, std::int64_t k, float probability) {
    const std::int64_t position = kSmall.key_len - kSmall.query_len + i;
    const bool active = k <= position && (k < 3 || k > position - 10);
    EXPECT_EQ(probability, active ? 1.0F : 0.0F) << i << " " << k;
  });
}

TEST(Pipeline, LocalWiderThanTheKeysAndSinkOfAllKeysAreFull) {
  const TestProblem problem = small_causal();
  const Mask full = Mask::full(problem.inputs().visibility);
  EXPECT_EQ(run({use("local", {{"", {"1000"}}})}, problem).mask, full);
  EXPECT_EQ(run({use("sink", {{"", {"100%"}}})}, problem).mask, full);
}

TEST(Pipeline, LocalFollowsTheQueryWhenEveryKeyIsVisible) {
  const TestProblem problem(kSmall, Visibility::all(kSmall.query_len, kSmall.key_len));
  const Selection selection = run({use("local", {{"", {"5"}}})}, problem);
  for_each_entry(selection.mask, [&](std::int64_t i, std::int64_t k, float probability) {
    const std::int64_t position = kSmall.key_len - kSmall.query_len + i;
    EXPECT_EQ(probability > 0, k <= position && k > position - 5);
  });
}

TEST(Pipeline, LocalOnBothSidesHasTheQueryInTheMiddle) {
  const TestProblem bidirectional(kSmall, Visibility::all(kSmall.query_len, kSmall.key_len));
  const auto expect_window = [&](const char* window, std::int64_t keys) {
    const Selection selection =
        run({use("local", {{"", {window}}, {"side", {"both"}}})}, bidirectional);
    EXPECT_EQ(selection.mask.extent(), (MaskExtent{1, 1}));
    for_each_entry(selection.mask, [&](std::int64_t i, std::int64_t k, float probability) {
      const std::int64_t position = kSmall.key_len - kSmall.query_len + i;
      EXPECT_EQ(probability > 0, std::abs(k - position) < keys) << window << " " << i << " " << k;
    });
  };
  expect_window("5", 5);
  expect_window("1", 1);
  expect_window("0", 0);
  expect_window("10%", 20);
  expect_window("9000000000000000000", 1 << 20);
  // Causality hides the later half.
  EXPECT_EQ(run({use("local", {{"", {"5"}}, {"side", {"both"}}})}, small_causal()).mask,
            run({use("local", {{"", {"5"}}, {"side", {"past"}}})}, small_causal()).mask);
}

TEST(Pipeline, LocalOnBothSidesReachesTheFirstKeysFromPositionsBeforeThem) {
  const AttentionShape shape{1, 1, 1, 6, 4, 8};  // positions -2 to 3
  const TestProblem problem(shape, Visibility::all(shape.query_len, shape.key_len));
  const Selection selection = run({use("local", {{"", {"3"}}, {"side", {"both"}}})}, problem);
  for_each_entry(selection.mask, [&](std::int64_t i, std::int64_t k, float probability) {
    EXPECT_EQ(probability > 0, std::abs(k - (i - 2)) < 3) << i << " " << k;
  });
}

TEST(Pipeline, PercentagesCountKeysOrVisibleKeys) {
  const TestProblem problem = small_causal();
  const Selection keys = run({use("sink", {{"", {"5%"}}})}, problem);
  const Selection visible = run({use("sink", {{"", {"10% of visible"}}})}, problem);
  EXPECT_EQ(keys.mask.probability(0, 0, 129, 9), 1.0F);
  EXPECT_EQ(keys.mask.probability(0, 0, 129, 10), 0.0F);
  EXPECT_EQ(visible.mask.probability(0, 0, 129, 19), 1.0F);  // position 199 sees 200 keys
  EXPECT_EQ(visible.mask.probability(0, 0, 0, 7), 0.0F);     // position 70 sees 71 keys
}

TEST(Pipeline, StridedAndTemplatePluginsSelectWhatTheySay) {
  const TestProblem problem = small_causal();
  const Mask strided = run({use("strided", {{"stride", {"7"}}, {"offset", {"2"}}})}, problem).mask;
  for_each_entry(strided, [&](std::int64_t i, std::int64_t k, float probability) {
    EXPECT_EQ(probability > 0, k % 7 == 2 && k <= kSmall.key_len - kSmall.query_len + i);
  });
  const Mask band = run({use("my_masker", {{"distance", {"20"}}, {"width", {"4"}}})}, problem).mask;
  EXPECT_EQ(band.probability(0, 0, 129, 179), 1.0F);
  EXPECT_EQ(band.probability(0, 0, 129, 180), 0.0F);
  EXPECT_EQ(band.probability(0, 0, 129, 175), 0.0F);
}

// Every kind of masker at once: position, blocks with a group's heads, an index, top-k, a sampler.
TEST(Pipeline, MasksAreTheSameForAnyThreadCountAndChunkSize) {
  const TestProblem problem = small_causal();
  const std::vector<MaskerUse> maskers = {use("sink", {{"", {"2"}}}), use("diagonal_blocks"),
                                          use("paged"), use("oracle_topk", {{"", {"5%"}}}),
                                          use("sampler", {{"", {"6"}}})};
  const Selection reference = run(maskers, problem, {.seed = 3});
  EXPECT_EQ(reference.mask.extent(), (MaskExtent{2, 4}));
  EXPECT_TRUE(reference.mask.has_sampled());
  EXPECT_TRUE(rules::holds(
      rules::check_selection_is_repeatable(rules::selector_of(Pipeline(maskers)),
                                           {.inputs = problem.inputs(), .options = {.seed = 3}})));
}

TEST(Pipeline, TheMaskerInPlainCSelectsADilatedWindow) {
  const TestProblem problem = small_causal();
  const auto dilated = [&](const char* window) {
    return run({use("dilated_window", {{"window", {window}}, {"dilation", {"3"}}})}, problem, {}, 2)
        .mask;
  };
  const Mask mask = dilated("5");
  EXPECT_EQ(mask.extent(), (MaskExtent{1, 1}));  // shape alone: one copy
  for_each_entry(mask, [&](std::int64_t i, std::int64_t k, float probability) {
    const std::int64_t distance = kSmall.key_len - kSmall.query_len + i - k;
    EXPECT_EQ(probability > 0, distance >= 0 && distance % 3 == 0 && distance / 3 < 5) << i << k;
  });
  EXPECT_EQ(dilated("5"), dilated("2.5%"));  // of 200 keys
  EXPECT_EQ(count(dilated("0")).active_entries, 0);
  EXPECT_EQ(dilated("1000"), dilated("67"));  // wider than the sequence
  EXPECT_EQ(run({use("dilated_window", {{"window", {"9"}}, {"dilation", {"1"}}})}, problem).mask,
            run({use("local", {{"", {"9"}}})}, problem).mask);
}

TEST(Pipeline, TheMaskerInPlainCSkipsQueriesBeforeTheFirstKey) {
  const AttentionShape more_queries{1, 1, 1, 6, 4, 8};  // positions -2 ... 3
  const TestProblem problem(more_queries, Visibility::all(6, 4));
  const Mask mask =
      run({use("dilated_window", {{"window", {"2"}}, {"dilation", {"2"}}})}, problem).mask;
  EXPECT_EQ(count(mask).active_entries, 6);  // none, none, {0}, {1}, {2, 0}, {3, 1}
}

TEST(Pipeline, MaskersAddToWhatIsActive) {
  const TestProblem problem = small_causal();
  const Mask first = run({use("strided")}, problem).mask;
  const Mask second = run({use("local", {{"", {"9"}}})}, problem).mask;
  EXPECT_EQ(run({use("strided"), use("local", {{"", {"9"}}})}, problem).mask,
            union_of(first, second));
}

TEST(Pipeline, IndexesAreBuiltCountedAndUsed) {
  const TestProblem problem = small_causal();
  const Selection selection = run({use("paged")}, problem);
  EXPECT_EQ(report_of(selection, "paged").index_bytes,
            2 * 2 * 25 * 4);  // batch, kv heads, pages, float
  EXPECT_TRUE(report_of(selection, "paged").index_spans_future);
  EXPECT_GT(count(selection.mask).active_entries, 0);
}

TEST(Sampler, ProbabilitiesAreTheDrawsShareOfThePopulation) {
  const TestProblem problem = small_causal();
  const Selection selection =
      run({use("sink", {{"", {"10"}}}), use("sampler", {{"", {"6"}}})}, problem);
  for (const std::int64_t query : {0, 77, 129}) {
    const auto sampled = selection.mask.sampled(0, 0, query);
    ASSERT_EQ(sampled.keys.size(), 6U);
    const std::int64_t population = selection.mask.visibility().end(query) - 10;
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_GE(sampled.keys[i], 10);
      EXPECT_FLOAT_EQ(sampled.probabilities[i], 6.0F / static_cast<float>(population));
    }
  }
}

TEST(Sampler, DrawingEverythingIsDense) {
  const TestProblem problem = small_causal();
  EXPECT_EQ(run({use("sampler", {{"", {"1000"}}})}, problem).mask,
            broadcast(Mask::full(problem.inputs().visibility), {2, 4}));
}

TEST(Sampler, DrawsAreNestedAndFollowTheSeed) {
  const TestProblem problem = small_causal();
  const auto drawn = [&](const char* keys, std::uint64_t seed) {
    return run({use("sampler", {{"", {keys}}})}, problem, {.seed = seed}).mask;
  };
  EXPECT_TRUE(is_subset(drawn("5", 1), drawn("9", 1)));
  EXPECT_FALSE(is_subset(drawn("5", 1), drawn("9", 2)));
}

TEST(Pipeline, AMaskerThatReadsWhatIsActiveCannotFollowASampler) {
  try {
    Pipeline({use("sampler", {{"", {"5"}}}), use("oracle_topk", {{"", {"5"}}})});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "\"oracle_topk\" reads which keys are active and cannot follow the sampler "
                 "\"sampler\": the estimate would be biased; put \"oracle_topk\" before it");
  }
  // The second sampler here reads nothing: it is refused all the same.
  try {
    Pipeline({use("sampler", {{"", {"5"}}}), use("poisson")});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "the sampler \"poisson\" cannot follow the sampler \"sampler\": together they would "
        "count the mass of the keys that they draw from twice; keep one");
  }
  EXPECT_THROW(Pipeline({use("sampler", {{"", {"5"}}}), use("sampler", {{"", {"5"}}})}), Error);
  EXPECT_NO_THROW(Pipeline({use("sampler", {{"", {"5"}}}), use("sink")}));
}

TEST(Pipeline, SamplersOverDisjointKeysMayShareAPipeline) {
  const auto drawn = [](const char* first, const char* last) {
    return use("random_sampling",
               {{"rate", {"20%"}}, {"init_offset", {first}}, {"local_offset", {last}}});
  };
  const TestProblem problem = small_causal();  // 200 keys
  const Mask first = run({drawn("0", "120")}, problem).mask;
  const Mask both = run({drawn("0", "120"), drawn("80", "0")}, problem).mask;
  EXPECT_TRUE(is_subset(first, both));
  EXPECT_GT(count(both).sampled_entries, count(first).sampled_entries);
  EXPECT_NO_THROW(run({drawn("0", "50%"), drawn("50%", "0")}, problem));
  const auto refusal = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  // Whether they overlap is known with the keys; that they always do, at once.
  const Pipeline overlapping({drawn("0", "120"), drawn("79", "0")});
  const Threads one(1);
  EXPECT_EQ(refusal([&] { overlapping.prepare(problem.inputs(), {}, one); }),
            "the sampler \"random_sampling\" draws from keys [79, 200) of 200 and the sampler "
            "\"random_sampling\" before it from [0, 80): together they would count the mass of the "
            "keys in both twice; make the ranges disjoint, or keep one");
  EXPECT_EQ(
      refusal([&] {
        Pipeline({drawn("0", "0"), drawn("8", "0")});
      }),
      "the sampler \"random_sampling\" cannot follow the sampler \"random_sampling\": together "
      "they would count the mass of the keys that they draw from twice; keep one");
  EXPECT_NE(refusal([&] {
              Pipeline({drawn("0", "120"), drawn("80", "0"), use("oracle_topk", {{"", {"1"}}})});
            }),
            "accepted");
}

TEST(Sampler, DrawsFromTheKeysThatItsArgumentsStateAlone) {
  const TestProblem problem = small_causal();  // 200 keys
  const auto drawn = [](const char* begin, const char* key, const char* probability) {
    return use("straying_sampler",
               {{"begin", {begin}}, {"key", {key}}, {"probability", {probability}}});
  };
  const MaskerUse straying = drawn("10%", "19", "50%");
  try {
    run({straying}, problem);
    FAIL() << "accepted";
  } catch (const PluginError& error) {
    EXPECT_EQ(std::string(error.what()),
              straying.type->library().string() +
                  ": masker \"straying_sampler\" failed: key 19 has probability 0.5 and lies "
                  "outside the keys that its arguments state, [20, 200)");
  }
  EXPECT_GT(count(run({drawn("10%", "20", "50%")}, problem).mask).sampled_entries, 0);
  EXPECT_EQ(count(run({drawn("10%", "19", "100%")}, problem).mask).sampled_entries, 0);
  EXPECT_GT(count(run({drawn("10% of visible", "0", "50%")}, problem).mask).sampled_entries, 0);
}

TEST(Sampler, UniformNumbersAreTheRowsOwnAndFollowTheSeed) {
  const TestProblem problem = small_causal();
  const auto drawn = [&](std::uint64_t seed) {
    return run({use("poisson")}, problem, {.seed = seed}).mask;
  };
  const Mask mask = drawn(1);
  EXPECT_EQ(mask.extent(), (MaskExtent{2, 4}));
  EXPECT_NEAR(density(mask), 0.25, 0.01);  // 108,000 coins: 0.01 is eight standard deviations
  EXPECT_EQ(mask, drawn(1));
  EXPECT_FALSE(mask == drawn(2));
  const auto heads_differ = [&](std::int64_t key) {
    return (mask.probability(0, 0, 129, key) > 0) != (mask.probability(0, 1, 129, key) > 0);
  };
  int different = 0;
  for (std::int64_t key = 0; key < 200; ++key) different += heads_differ(key) ? 1 : 0;
  EXPECT_GT(different, 20);
}

// 200 queries over 64 keys, all visible: positions begin at -136.
TEST(Pipeline, BlocksOfNegativePositionsAreWholeAndSeparate) {
  const AttentionShape shape{1, 2, 1, 200, 64, 4};
  const TestProblem problem(shape, Visibility::all(shape.query_len, shape.key_len));
  const Mask mask = run({use("diagonal_blocks")}, problem, {.chunk_rows = 1}, 2).mask;
  for_each_entry(mask, [&](std::int64_t i, std::int64_t k, float probability) {
    const std::int64_t position = i - 136;
    EXPECT_EQ(probability > 0, position >= 0 && position / 48 == k / 48) << i << " " << k;
  });
}

struct Fault {
  const char* how;
  const char* text;
  friend void PrintTo(const Fault& fault, std::ostream* stream) { *stream << fault.how; }
};

class FaultyMasker : public testing::TestWithParam<Fault> {};

TEST_P(FaultyMasker, FailureNamesLibraryMaskerAndReason) {
  const MaskerUse faulty = use("faulty", {{"how", {GetParam().how}}});
  try {
    run({faulty}, small_causal(), {}, 2);
    FAIL() << "nothing failed";
  } catch (const PluginError& error) {
    EXPECT_EQ(std::string(error.what()),
              faulty.type->library().string() + ": masker \"faulty\" " + GetParam().text);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways,
    FaultyMasker,
    testing::Values(
        Fault{"create", "cannot be created: no weights for this layer"},
        Fault{"grain",
              "cannot be created: its grain is 0 tokens, heads 0; the block must be at least 1 and "
              "heads a MASKERADE_HEADS_ value"},
        Fault{"select", "failed: something in select"},
        Fault{"key", "failed: keys [200, 201) are outside [0, 200)"},
        Fault{"probability",
              "failed: key 0 has probability 0.5, but the masker's descriptor does not declare "
              "MASKERADE_TRAIT_SAMPLES"},
        Fault{"reads_active",
              "failed: it calls active_count, but its descriptor does not declare "
              "MASKERADE_DEPENDS_ACTIVE; add MASKERADE_DEPENDS_ACTIVE to depends_on"},
        Fault{"draws",
              "failed: it calls uniform, but its descriptor does not declare "
              "MASKERADE_DEPENDS_SEED; add MASKERADE_DEPENDS_SEED to depends_on"},
        Fault{"scores",
              "failed: it calls score_range, but its descriptor does not declare "
              "MASKERADE_DEPENDS_QUERY; add MASKERADE_DEPENDS_QUERY to depends_on"},
        Fault{"ranks",
              "failed: it calls add_top_scores, but its descriptor does not declare "
              "MASKERADE_DEPENDS_ACTIVE; add MASKERADE_DEPENDS_ACTIVE to depends_on"},
        Fault{"row", "failed: row 1000000 is outside [0, 130)"}),
    [](const testing::TestParamInfo<Fault>& fault) { return std::string(fault.param.how); });

TEST(Pipeline, ReadsAnErrorTextNoFurtherThanItsBuffer) {
  for (const std::string how : {"create", "select"}) {
    const MaskerUse masker = use("unbounded", {{"how", {how}}});
    try {
      run({masker}, small_causal());
      FAIL() << "nothing failed";
    } catch (const PluginError& error) {
      EXPECT_TRUE(std::string(error.what()).ends_with(": " + std::string(1024, 'x')))
          << error.what();
    }
  }
}

TEST(Pipeline, CountsOfWorkStopAtTheLargestNumber) {
  const Selection selection = run({use("unbounded", {{"how", {"counts"}}})}, small_causal(), {}, 2);
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(report_of(selection, "unbounded").keys_scored, kLargest);
  EXPECT_EQ(report_of(selection, "unbounded").bytes_read, kLargest);
  EXPECT_EQ(report_of(selection, "unbounded").index_bytes, kLargest);
  try {
    run({use("unbounded", {{"how", {"negative"}}})}, small_causal());
    FAIL() << "nothing failed";
  } catch (const PluginError& error) {
    EXPECT_TRUE(std::string(error.what())
                    .ends_with("failed: it counts 1 keys scored and -8 bytes read; a count is not "
                               "negative"))
        << error.what();
  }
}

TEST(Pipeline, ScoresOfManyRowsAreThoseOfTheDefinition) {
  for (const std::int64_t query_len : {1, 3, 9, 130}) {
    const AttentionShape shape{2, 6, 2, query_len, 200, 20};
    const TestProblem problem(shape, Visibility::all(query_len, 200));
    for (const int threads : {1, 3}) {
      const Mask mask = run({use("score_ranges")}, problem, {.chunk_rows = 64}, threads).mask;
      EXPECT_EQ(count(mask).active_entries, 0);
    }
  }
}

TEST(Pipeline, RefusesInputsThatDoNotFitTheirShape) {
  const TestProblem problem = small_causal();
  AttentionInputs inputs = problem.inputs();
  inputs.shape.kv_heads = 4;
  EXPECT_THROW(Pipeline({}).prepare(inputs, {}, Threads(1)), ShapeError);
}

TEST(Pipeline, SinkAndLocalAt131072TokensTakeMegabytes) {
  const AttentionShape shape{1, 1, 1, 131'072, 131'072, 1};
  const TestProblem problem(shape, Visibility::causal(shape.query_len, shape.key_len));
  const Mask mask =
      run({use("sink", {{"", {"128"}}}), use("local", {{"", {"1024"}}})}, problem).mask;
  RecordProperty("mask_bytes", std::to_string(mask.size_bytes()));
  std::printf("sink 128 + local 1024, 131072 tokens, causal: %lld bytes\n",
              static_cast<long long>(mask.size_bytes()));
  EXPECT_LT(mask.size_bytes(), 8 << 20);
}

}  // namespace
}  // namespace maskerade
