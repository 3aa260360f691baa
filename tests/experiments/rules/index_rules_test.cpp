#include "experiments/rules/index_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/experiments/rules/planted_masker.hpp"

namespace maskerade::rules {
namespace {

constexpr std::int64_t kBuilt = 40;
constexpr std::int64_t kKeys = 70;
constexpr std::int64_t kPage = 8;

// How the index of PagedMasker is wrong.
enum class Fault {
  kNone,
  kMissesKeysOfASplit,    // the first key of an append that starts within a page is lost
  kForgetsNothing,        // truncate does nothing but drop whole pages
  kGrowsWithEveryAppend,  // its bytes count appends
  kDependsOnTheBuild,     // remembers how many keys it was built over
};

// Keeps the sum of the first components of each page of keys; selects the page where it is largest,
// and of each page one key that its sum chooses.
template <Fault kFault>
class PagedMasker final : public sdk::RowMasker {
 public:
  struct Index {
    std::vector<float> sums;
    std::int64_t built = 0;
    std::int64_t appends = 0;
  };
  static constexpr bool kIndexSpansFuture = true;
  static sdk::Description describe() {
    return {.id = "paged",
            .summary = "one page of an index",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kBatch | sdk::kKey};
  }
  explicit PagedMasker(const sdk::Arguments&) {}

  void select_row(const sdk::Row& row) const override {
    const Index& index = row.index<Index>();
    if (index.sums.empty()) return;
    const auto best = std::max_element(index.sums.begin(), index.sums.end());
    row.add_range((best - index.sums.begin()) * kPage, (best - index.sums.begin() + 1) * kPage);
    for (std::size_t page = 0; page < index.sums.size(); ++page) {
      const auto key = static_cast<std::int64_t>(std::abs(index.sums[page]) * 1000) % kPage;
      row.add_key(std::min(static_cast<std::int64_t>(page) * kPage + key, row.key_len() - 1));
    }
    if (kFault == Fault::kDependsOnTheBuild) row.add_key(index.built % row.key_len());
  }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    add(*index, span, span.key_begin);
    index->built = span.key_end;
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const bool starts_within = span.key_begin % kPage != 0;
    const bool skips = kFault == Fault::kMissesKeysOfASplit && starts_within;
    add(index, span, span.key_begin + (skips ? 1 : 0));
    ++index.appends;
  }
  void truncate(Index& index, const maskerade_key_span& span) const {
    const std::int64_t end = span.key_end;
    index.sums.resize(static_cast<std::size_t>((end + kPage - 1) / kPage));
    if (kFault == Fault::kForgetsNothing || end % kPage == 0) return;
    index.sums.pop_back();
    const std::int64_t first = end / kPage * kPage;
    add(index, span, first);
  }
  std::size_t size_bytes(const Index& index) const {
    const std::int64_t appends = kFault == Fault::kGrowsWithEveryAppend ? index.appends : 0;
    return index.sums.size() * sizeof(float) + static_cast<std::size_t>(appends);
  }

 private:
  static void add(Index& index, const maskerade_key_span& span, std::int64_t first) {
    const auto* keys = static_cast<const float*>(span.keys);
    for (std::int64_t key = first; key < span.key_end; ++key) {
      const float component = keys[(key - span.key_begin) * span.key_row_stride];
      if (key % kPage == 0) index.sums.push_back(0);
      index.sums.back() += component;
    }
  }
};

const RandomProblem& problem() {
  static const RandomProblem the_problem({2, 4, 2, 3, kKeys, 4}, DType::kFloat32, false, 1);
  return the_problem;
}

template <Fault kFault>
GrowingSelectionMaker by_hand() {
  return [](std::int64_t key_len) {
    return std::make_unique<MaskerIndex>(planted<PagedMasker<kFault>>(), problem().inputs, 7,
                                         key_len);
  };
}

// The problem's first keys.
AttentionInputs first_keys(std::int64_t key_len) {
  AttentionInputs inputs = problem().inputs;
  inputs.shape.key_len = inputs.k.length = inputs.v.length = key_len;
  inputs.visibility = Visibility::all(inputs.shape.query_len, key_len);
  return inputs;
}

template <Fault kFault>
GrowingSelectionMaker in_a_pipeline() {
  return [](std::int64_t key_len) {
    return std::make_unique<GrowingPipeline>(Pipeline({planted<PagedMasker<kFault>>()}), first_keys,
                                             PipelineOptions{.seed = 7}, 2, key_len);
  };
}

template <Fault kFault>
std::vector<GrowingSelectionMaker> both() {
  return {by_hand<kFault>(), in_a_pipeline<kFault>()};
}

Violations check_all(const GrowingSelectionMaker& make) {
  const std::int64_t built[] = {1, 39, kBuilt};
  Violations all = check_append_splits(make, kBuilt, kKeys);
  append(all, check_append_is_build(make, built, kKeys));
  append(all, check_truncate_undoes_append(make, kBuilt, kKeys, 1, 3));
  append(all, check_truncate_undoes_append(make, kBuilt, kKeys, 9, 2));
  return all;
}

TEST(IndexRules, HoldOfAnIndexThatKeepsThem) {
  for (const GrowingSelectionMaker& make : both<Fault::kNone>()) {
    EXPECT_TRUE(holds(check_all(make)));
  }
}

TEST(IndexRules, HoldOfAnIndexThatIsBuiltOverNothing) {
  const std::int64_t nothing[] = {0};
  EXPECT_TRUE(holds(check_append_is_build(by_hand<Fault::kNone>(), nothing, kKeys)));
}

TEST(IndexRules, FindKeysThatASplitLoses) {
  for (const GrowingSelectionMaker& make : both<Fault::kMissesKeysOfASplit>()) {
    EXPECT_TRUE(finds(check_append_splits(make, kBuilt, kKeys),
                      "appending by 7 keys is appending at once"));
    const std::int64_t built[] = {39};
    EXPECT_TRUE(finds(check_append_is_build(make, built, kKeys),
                      "appending from 39 keys on is building at once"));
  }
}

TEST(IndexRules, FindAnIndexThatForgetsNothing) {
  for (const GrowingSelectionMaker& make : both<Fault::kForgetsNothing>()) {
    // Of the components of a page those of the keys that were cut off are still there.
    EXPECT_FALSE(check_truncate_undoes_append(make, kBuilt, kKeys, 9, 2).empty());
    EXPECT_TRUE(holds(check_append_splits(make, kBuilt, kKeys)));
  }
}

TEST(IndexRules, FindBytesThatCountAppends) {
  for (const GrowingSelectionMaker& make : both<Fault::kGrowsWithEveryAppend>()) {
    const Violations found = check_append_splits(make, kBuilt, kKeys);
    ASSERT_TRUE(finds(found, "appending by 1 keys is appending at once"));
    EXPECT_EQ(found.front().finding.find("the index has "), 0U) << found.front();
    EXPECT_TRUE(finds(check_truncate_undoes_append(make, kBuilt, kKeys, 1, 3),
                      "cutting off keys 40 to 40 undoes appending them"));
  }
}

TEST(IndexRules, FindAnIndexThatDependsOnItsBuild) {
  for (const GrowingSelectionMaker& make : both<Fault::kDependsOnTheBuild>()) {
    const std::int64_t built[] = {39};
    EXPECT_TRUE(finds(check_append_is_build(make, built, kKeys),
                      "appending from 39 keys on is building at once"));
    EXPECT_TRUE(holds(check_append_splits(make, kBuilt, kKeys)));
  }
}

// Refuses to append.
class Stubborn final : public sdk::RowMasker {
 public:
  struct Index {};
  static constexpr bool kIndexSpansFuture = false;
  static sdk::Description describe() {
    return {.id = "stubborn", .summary = "an index that does not grow", .depends_on = sdk::kKey};
  }
  explicit Stubborn(const sdk::Arguments&) {}
  void select_row(const sdk::Row&) const override {}
  std::unique_ptr<Index> build(const maskerade_key_span&) const {
    return std::make_unique<Index>();
  }
  void append(Index&, const maskerade_key_span&) const { throw std::runtime_error("no room"); }
  void truncate(Index&, std::int64_t) const {}
  std::size_t size_bytes(const Index&) const { return 0; }
};

class WithoutIndex final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "without_index", .summary = "no index", .depends_on = sdk::kShape};
  }
  explicit WithoutIndex(const sdk::Arguments&) {}
  void select_row(const sdk::Row&) const override {}
};

template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(MaskerIndex, GivesTheMaskersOwnText) {
  MaskerIndex index(planted<Stubborn>(), problem().inputs, 7, kBuilt);
  EXPECT_EQ(error_of([&] { index.append(kKeys); }),
            "planted.so: masker \"stubborn\" failed: no room");
}

TEST(MaskerIndex, SelectsFromTheKeysThatItHas) {
  const RandomProblem causal({1, 2, 1, 3, kKeys, 4}, DType::kFloat32, true, 1);
  MaskerIndex index(planted<PagedMasker<Fault::kNone>>(), causal.inputs, 7, 0);
  EXPECT_EQ(error_of([&] { index.select(); }), "an index over no key has nothing to select from");
  index.append(kBuilt);
  const Mask mask = index.select();
  EXPECT_EQ(mask.key_len(), kBuilt);
  EXPECT_EQ(mask.visibility().position(0), kBuilt - 1);
  index.append(kKeys);
  EXPECT_EQ(index.select().visibility(), causal.inputs.visibility);
}

TEST(MaskerIndex, IsOfMaskersWithAnIndex) {
  EXPECT_EQ(error_of([] { MaskerIndex(planted<WithoutIndex>(), problem().inputs, 7, kBuilt); }),
            "masker \"without_index\" has no index");
}

}  // namespace
}  // namespace maskerade::rules
