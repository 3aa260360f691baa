#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "framework/base/error.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/sdk/masker.hpp"
#include "tests/experiments/rules/planted_masker.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

// Counts how often it is made, as a masker with weights would read them, and how often it builds an
// index.
class Counted : public sdk::RowMasker {
 public:
  struct Index {};
  static constexpr bool kIndexSpansFuture = false;
  static inline int made = 0;
  static inline int built = 0;

  static sdk::Description describe() {
    return {.id = "counted",
            .summary = "the first key",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kKey};
  }
  explicit Counted(const sdk::Arguments&) { ++made; }
  std::unique_ptr<Index> build(const maskerade_key_span&) const {
    ++built;
    return std::make_unique<Index>();
  }
  void append(Index&, const maskerade_key_span&) const {}
  void truncate(Index&, std::int64_t) const {}
  std::size_t size_bytes(const Index&) const { return 1; }
  void select_row(const sdk::Row& row) const override { row.add_range(0, 1); }
};

class LoadedPipelineTest : public testing::Test {
 protected:
  LoadedPipelineTest() {
    Counted::made = 0;
    Counted::built = 0;
  }
  const TestProblem problem_{{1, 2, 1, 3, 9, 4}, Visibility::causal(3, 9)};
  const Threads threads_{1};
};

TEST_F(LoadedPipelineTest, MakesItsMaskersOnceForAnyNumberOfPreparations) {
  const Pipeline pipeline({rules::planted<Counted>()});
  const LoadedPipeline loaded = pipeline.load(problem_.inputs(), {});
  EXPECT_EQ(Counted::made, 1);
  EXPECT_EQ(Counted::built, 0);
  const Mask expected = pipeline.prepare(problem_.inputs(), {}, threads_).select(threads_).mask;
  EXPECT_EQ(Counted::made, 2);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(loaded.prepare(problem_.inputs(), threads_).select(threads_).mask, expected);
    EXPECT_EQ(Counted::made, 2);
    EXPECT_EQ(Counted::built, 1 + i);
  }
}

TEST_F(LoadedPipelineTest, IsKeptByWhatItPrepared) {
  std::optional<LoadedPipeline> loaded =
      Pipeline({rules::planted<Counted>()}).load(problem_.inputs(), {});
  const PreparedPipeline prepared = loaded->prepare(problem_.inputs(), threads_);
  loaded.reset();
  EXPECT_EQ(prepared.select(threads_).mask.probability(0, 0, 0, 0), 1);
}

TEST_F(LoadedPipelineTest, ServesOtherNumbersOfQueriesAndKeys) {
  const LoadedPipeline loaded = Pipeline({rules::planted<Counted>()}).load(problem_.inputs(), {});
  const TestProblem longer({1, 2, 1, 1, 70, 4}, Visibility::causal(1, 70));
  EXPECT_EQ(loaded.prepare(longer.inputs(), threads_).select(threads_).mask.key_len(), 70);
}

TEST_F(LoadedPipelineTest, RefusesAnotherModel) {
  const LoadedPipeline loaded = Pipeline({rules::planted<Counted>()}).load(problem_.inputs(), {});
  const TestProblem more_heads({1, 4, 1, 3, 9, 4}, Visibility::causal(3, 9));
  EXPECT_THROW(loaded.prepare(more_heads.inputs(), threads_), ShapeError);
  const TestProblem not_causal({1, 2, 1, 3, 9, 4}, Visibility::all(3, 9));
  EXPECT_THROW(loaded.prepare(not_causal.inputs(), threads_), ShapeError);
  AttentionInputs other_layer = problem_.inputs();
  other_layer.layer = 1;
  EXPECT_THROW(loaded.prepare(other_layer, threads_), ShapeError);
}

}  // namespace
}  // namespace maskerade
