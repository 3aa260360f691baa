#include "framework/mask/set_operations.hpp"

#include <cmath>

#include "experiments/rules/mask_rules.hpp"
#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::draw;
using testing::is_visible;
using testing::Kind;
using testing::random_extent;
using testing::random_mask;
using testing::random_visibility;
using testing::random_weights;
using testing::shape_error_of;

// Three random masks of the same visibility and extent.
struct Three {
  explicit Three(Kind kind)
      : visibility(random_visibility()),
        extent(random_extent()),
        a(random_mask(visibility, extent, kind)),
        b(random_mask(visibility, extent, kind)),
        c(random_mask(visibility, extent, kind)) {}

  Visibility visibility;
  MaskExtent extent;
  Mask a;
  Mask b;
  Mask c;
};

// RapidCheck's assertion that a rule found nothing; it shows what was found.
void require_holds(const rules::Violations& violations) {
  std::string text;
  for (const rules::Violation& violation : violations) text += to_string(violation) + "\n";
  RC_ASSERT(text == "");
}

RC_GTEST_PROP(MaskLattice, LawsHoldOfMasksOfBits, ()) {
  const Three m(Kind::kBits);
  require_holds(rules::check_lattice_laws(m.a, m.b, m.c));
}

RC_GTEST_PROP(MaskLattice, LawsHoldOfSupportsOfSampledMasks, ()) {
  const Three m(Kind::kSampled);
  require_holds(rules::check_lattice_laws(support_of(m.a), support_of(m.b), support_of(m.c)));
}

RC_GTEST_PROP(SampledMasks, FollowTheWeakerLaws, ()) {
  const Three m(Kind::kSampled);
  require_holds(rules::check_sampled_laws(m.a, m.b, m.c));
}

RC_GTEST_PROP(SetOperations, AgreeWithEveryEntry, ()) {
  const Three m(Kind::kSampled);
  require_holds(rules::check_operations_entry_by_entry(m.a, m.b));
}

RC_GTEST_PROP(SetOperations, DeterministicPartAgreesWithEveryEntry, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  std::vector<float> weights = random_weights(visibility, extent, Kind::kSampled);
  const Mask mask = from_dense(visibility, extent, weights);
  const Mask deterministic = deterministic_part(mask);
  RC_ASSERT(to_dense(mask) == weights);
  for (float& weight : weights) weight = weight == 1.0F ? 1.0F : 0.0F;
  RC_ASSERT(to_dense(deterministic) == weights);
  require_holds(rules::check_canonical_form(deterministic));
}

RC_GTEST_PROP(SetOperations, ComplementAgreesWithEveryEntry, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  std::vector<float> weights = random_weights(visibility, extent, Kind::kBits);
  const Mask complement = complement_of(from_dense(visibility, extent, weights));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = is_visible(visibility, static_cast<std::int64_t>(i)) ? 1.0F - weights[i] : 0.0F;
  }
  RC_ASSERT(to_dense(complement) == weights);
}

RC_GTEST_PROP(SetOperations, SubsetAgreesWithEveryEntry, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const std::vector<float> x = random_weights(visibility, extent, Kind::kSampled);
  std::vector<float> y = random_weights(visibility, extent, Kind::kSampled);
  // Random masks are hardly ever subsets, so mostly y has every entry of x (kind 2), or all of them
  // but perhaps one (kind 1).
  const std::int64_t kind = draw(0, 2);
  if (kind != 0) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] > 0.0F && y[i] == 0.0F) y[i] = i % 3 == 0 ? 0.5F : 1.0F;
    }
  }
  if (kind == 1) y[static_cast<std::size_t>(draw(0, static_cast<std::int64_t>(y.size()) - 1))] = 0;
  bool expected = true;
  for (std::size_t i = 0; i < x.size(); ++i) expected = expected && (x[i] == 0.0F || y[i] > 0.0F);
  RC_ASSERT(is_subset(from_dense(visibility, extent, x), from_dense(visibility, extent, y)) ==
            expected);
}

TEST(SampledMasks, ComplementIsRefused) {
  const Visibility visibility = Visibility::all(1, 2);
  const Mask mask = from_dense(visibility, {}, std::vector<float>{1.0F, 0.5F});
  EXPECT_EQ(
      shape_error_of([&] { complement_of(mask); }),
      "the mask has 1 entries with probability below 1, whose complement is not defined; take "
      "the complement of its support or of its deterministic part");
}

TEST(SampledMasks, UnionStaysBelowOneAndIntersectionAboveZero) {
  const Visibility visibility = Visibility::all(1, 4);
  const float most = std::nextafter(1.0F, 0.0F);
  const Mask a = from_dense(visibility, {}, std::vector<float>{most, most, 1e-40F, 1e-40F});
  const Mask b = from_dense(visibility, {}, std::vector<float>{most, 1.0F, 1e-40F, 1.0F});
  EXPECT_EQ(to_dense(union_of(a, b)), (std::vector<float>{most, 1.0F, 2 * 1e-40F, 1.0F}));
  const Mask common = intersection_of(a, b);
  const auto probability = [&](std::int64_t key) { return common.probability(0, 0, 0, key); };
  EXPECT_EQ(probability(1), most);
  EXPECT_GT(probability(2), 0.0F) << "both are 1e-40, a denormal";
  EXPECT_EQ(probability(3), 1e-40F);
}

TEST(TileMask, UnionKeepsFullTilesFull) {
  const Visibility visibility = Visibility::all(64, 128);
  std::vector<float> x(64 * 128);
  std::vector<float> y(64 * 128);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % 128 < 64) x[i] = 1.0F;   // x alone fills the first tile
    (i % 2 == 0 ? x : y)[i] = 1.0F;  // x and y together fill both tiles
  }
  const Mask a = from_dense(visibility, {}, x);
  const Mask b = from_dense(visibility, {}, y);
  EXPECT_EQ(count(a).tiles_full, 1);
  EXPECT_EQ(count(b).tiles_full, 0);
  const MaskCounts counts = count(union_of(a, b));
  EXPECT_EQ(counts.tiles_full, 2);
  EXPECT_EQ(counts.tiles_partial, 0);
}

TEST(TileMask, DisjointTilesLeaveNothingBehind) {
  const Visibility visibility = Visibility::all(1, 64);
  std::vector<float> x(64);
  std::vector<float> y(64);
  x[3] = 1.0F;
  y[4] = 1.0F;
  const Mask common = intersection_of(from_dense(visibility, {}, x), from_dense(visibility, {}, y));
  EXPECT_EQ(common, Mask::empty(visibility));
  EXPECT_EQ(count(common).tiles_empty, 1);
}

TEST(TileMask, CausalEdgeTilesBecomeFullByUnion) {
  const Visibility visibility = Visibility::causal(64, 64);
  std::vector<float> x(64 * 64);
  for (std::size_t i = 0; i < 64; ++i) x[i * 64 + i] = 1.0F;
  const Mask diagonal = from_dense(visibility, {}, x);
  const Mask rest = complement_of(diagonal);
  EXPECT_EQ(count(rest).tiles_partial, 1);
  EXPECT_EQ(count(rest).active_entries, 64 * 63 / 2);
  EXPECT_EQ(union_of(diagonal, rest), Mask::full(visibility));
}

RC_GTEST_PROP(Broadcasting, OperandsGrowToTheLargerExtent, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent{2, 4};
  const MaskExtent small{draw(1, 2), std::int64_t{1} << draw(0, 2)};
  const Mask a = random_mask(visibility, small, Kind::kSampled);
  const Mask b = random_mask(visibility, extent, Kind::kSampled);
  const Mask large = broadcast(a, extent);
  RC_ASSERT(large.extent() == extent);
  for (int i = 0; i < 20; ++i) {
    const std::int64_t batch = draw(0, 1);
    const std::int64_t head = draw(0, 3);
    const std::int64_t query = draw(0, visibility.query_len() - 1);
    const std::int64_t key = draw(0, visibility.key_len() - 1);
    RC_ASSERT(large.probability(batch, head, query, key) ==
              a.probability(small.batch == 1 ? 0 : batch, head * small.heads / 4, query, key));
  }
  RC_ASSERT(union_of(a, b) == union_of(large, b));
  RC_ASSERT(union_of(b, a) == union_of(b, large));
  RC_ASSERT(intersection_of(a, b) == intersection_of(large, b));
  RC_ASSERT(difference_of(a, b) == difference_of(large, b));
  RC_ASSERT(difference_of(b, a) == difference_of(b, large));
  RC_ASSERT(is_subset(a, union_of(a, b)));
  RC_ASSERT(is_subset(intersection_of(a, b), a));
}

RC_GTEST_PROP(Broadcasting, GatheredHeadsAreThoseOfTheirMasks, ()) {
  const Visibility visibility = random_visibility();
  std::vector<Mask> masks;
  for (int i = 0; i < 3; ++i) {
    const MaskExtent extent{draw(1, 2), std::int64_t{1} << draw(0, 2)};
    masks.push_back(random_mask(visibility, extent, Kind::kSampled));
  }
  std::vector<const Mask*> of_head;
  for (int head = 0; head < 4; ++head) {
    of_head.push_back(&masks[static_cast<std::size_t>(draw(0, 2))]);
  }
  const Mask gathered = gather_heads(of_head);
  const std::vector<float> weights = to_dense(gathered);
  std::size_t next = 0;
  for (std::int64_t batch = 0; batch < gathered.extent().batch; ++batch) {
    for (std::int64_t head = 0; head < 4; ++head) {
      const Mask wide = broadcast(*of_head[static_cast<std::size_t>(head)], {2, 4});
      for (std::int64_t query = 0; query < visibility.query_len(); ++query) {
        for (std::int64_t key = 0; key < visibility.key_len(); ++key) {
          RC_ASSERT(weights[next++] == wide.probability(batch, head, query, key));
        }
      }
    }
  }
}

TEST(Broadcasting, EachOperandMayBringItsOwnDimension) {
  const Visibility visibility = Visibility::all(1, 4);
  const Mask by_batch = from_dense(visibility, {2, 1}, std::vector<float>{1, 0, 0, 0, 0, 1, 0, 0});
  const Mask by_head = from_dense(visibility, {1, 2}, std::vector<float>{0, 0, 1, 0, 0, 0, 0, 1});
  const Mask both = union_of(by_batch, by_head);
  EXPECT_EQ(both.extent(), (MaskExtent{2, 2}));
  EXPECT_EQ(to_dense(both), (std::vector<float>{1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1}));
}

TEST(Broadcasting, MasksThatDoNotFitAreRefused) {
  const Visibility visibility = Visibility::all(2, 4);
  const auto error_of = [&](MaskExtent a, MaskExtent b) {
    return shape_error_of(
        [&] { union_of(Mask::empty(visibility, a), Mask::empty(visibility, b)); });
  };
  EXPECT_EQ(error_of({1, 2}, {1, 8}), "");
  EXPECT_EQ(error_of({2, 1}, {3, 1}),
            "masks of (batch, heads) (2, 1) and (3, 1): batch must be equal or 1, heads a multiple "
            "of each other");
  EXPECT_NE(error_of({1, 2}, {1, 3}), "");
  EXPECT_EQ(shape_error_of([] {
              union_of(Mask::empty(Visibility::all(2, 4)), Mask::empty(Visibility::causal(2, 4)));
            }),
            "masks over 2 queries x 4 keys and 2 x 4: both must have the same visible entries");
  EXPECT_NE(shape_error_of([] {
              is_subset(Mask::empty(Visibility::all(2, 4)), Mask::empty(Visibility::all(2, 5)));
            }),
            "");
  EXPECT_EQ(shape_error_of([&] {
              broadcast(Mask::empty(visibility, {2, 4}), {2, 6});
            }),
            "a mask of (batch, heads) (2, 4) cannot be broadcast to (2, 6): batch must be equal or "
            "was 1, heads must be a multiple");
  const Mask of_two = Mask::empty(visibility, {1, 2});
  const Mask of_three = Mask::empty(visibility, {1, 3});
  EXPECT_EQ(shape_error_of([&] {
              gather_heads({&of_three, &of_two});
            }),
            "a mask of (batch, heads) (1, 3) cannot be broadcast to (1, 2): batch must be equal or "
            "was 1, heads must be a multiple");
  const Mask of_others = Mask::empty(Visibility::causal(2, 4), {1, 2});
  EXPECT_EQ(shape_error_of([&] {
              gather_heads({&of_two, &of_others});
            }),
            "the heads of one mask must have the same visible entries");
}

}  // namespace
}  // namespace maskerade
