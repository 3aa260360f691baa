#include "framework/mask/set_operations.hpp"

#include <cmath>

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

RC_GTEST_PROP(MaskLattice, UnionAndIntersectionCommute, ()) {
  const Three m(Kind::kSampled);
  RC_ASSERT(union_of(m.a, m.b) == union_of(m.b, m.a));
  RC_ASSERT(intersection_of(m.a, m.b) == intersection_of(m.b, m.a));
}

RC_GTEST_PROP(MaskLattice, UnionAndIntersectionAssociate, ()) {
  const Three m(Kind::kBits);
  RC_ASSERT(union_of(union_of(m.a, m.b), m.c) == union_of(m.a, union_of(m.b, m.c)));
  RC_ASSERT(intersection_of(intersection_of(m.a, m.b), m.c) ==
            intersection_of(m.a, intersection_of(m.b, m.c)));
}

RC_GTEST_PROP(MaskLattice, UnionAndIntersectionAreIdempotent, ()) {
  const Three m(Kind::kBits);
  RC_ASSERT(union_of(m.a, m.a) == m.a);
  RC_ASSERT(intersection_of(m.a, m.a) == m.a);
}

RC_GTEST_PROP(MaskLattice, UnionAndIntersectionAbsorbAndDistribute, ()) {
  const Three m(Kind::kBits);
  RC_ASSERT(union_of(m.a, intersection_of(m.a, m.b)) == m.a);
  RC_ASSERT(intersection_of(m.a, union_of(m.a, m.b)) == m.a);
  RC_ASSERT(intersection_of(m.a, union_of(m.b, m.c)) ==
            union_of(intersection_of(m.a, m.b), intersection_of(m.a, m.c)));
  RC_ASSERT(union_of(m.a, intersection_of(m.b, m.c)) ==
            intersection_of(union_of(m.a, m.b), union_of(m.a, m.c)));
}

RC_GTEST_PROP(MaskLattice, DeMorganHoldsWithinVisible, ()) {
  const Three m(Kind::kBits);
  RC_ASSERT(complement_of(union_of(m.a, m.b)) ==
            intersection_of(complement_of(m.a), complement_of(m.b)));
  RC_ASSERT(complement_of(intersection_of(m.a, m.b)) ==
            union_of(complement_of(m.a), complement_of(m.b)));
}

RC_GTEST_PROP(MaskLattice, ComplementIsAnInvolutionThatPartsTheVisible, ()) {
  const Three m(Kind::kBits);
  const Mask complement = complement_of(m.a);
  RC_ASSERT(complement_of(complement) == m.a);
  RC_ASSERT(union_of(m.a, complement) == Mask::full(m.visibility, m.extent));
  RC_ASSERT(intersection_of(m.a, complement) == Mask::empty(m.visibility, m.extent));
  RC_ASSERT(complement_of(Mask::empty(m.visibility, m.extent)) ==
            Mask::full(m.visibility, m.extent));
}

RC_GTEST_PROP(MaskLattice, DifferenceIsIntersectionWithTheComplement, ()) {
  const Three m(Kind::kBits);
  RC_ASSERT(difference_of(m.a, m.b) == intersection_of(m.a, complement_of(m.b)));
  RC_ASSERT(difference_of(m.a, m.a) == Mask::empty(m.visibility, m.extent));
}

RC_GTEST_PROP(MaskLattice, EmptyAndFullAreTheBounds, ()) {
  const Three m(Kind::kSampled);
  const Mask empty = Mask::empty(m.visibility, m.extent);
  const Mask full = Mask::full(m.visibility, m.extent);
  RC_ASSERT(union_of(m.a, empty) == m.a);
  RC_ASSERT(union_of(m.a, full) == full);
  RC_ASSERT(intersection_of(m.a, full) == m.a);
  RC_ASSERT(intersection_of(m.a, empty) == empty);
  RC_ASSERT(difference_of(m.a, empty) == m.a);
  RC_ASSERT(difference_of(m.a, full) == empty);
  RC_ASSERT(is_subset(empty, m.a));
  RC_ASSERT(is_subset(m.a, full));
}

RC_GTEST_PROP(MaskLattice, SupportsOfSampledMasksFollowTheLattice, ()) {
  const Three m(Kind::kSampled);
  const Mask a = support_of(m.a);
  const Mask b = support_of(m.b);
  RC_ASSERT(!a.has_sampled());
  RC_ASSERT(support_of(union_of(m.a, m.b)) == union_of(a, b));
  RC_ASSERT(support_of(intersection_of(m.a, m.b)) == intersection_of(a, b));
  RC_ASSERT(support_of(difference_of(m.a, m.b)) == difference_of(a, b));
}

// Checks an operation on random masks against `naive`, which is given the probabilities of one
// entry.
template <typename Operation, typename Naive>
void check_against_naive(Operation&& operation, Naive&& naive) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const std::vector<float> x = random_weights(visibility, extent, Kind::kSampled);
  const std::vector<float> y = random_weights(visibility, extent, Kind::kSampled);
  const Mask a = from_dense(visibility, extent, x);
  const Mask b = from_dense(visibility, extent, y);
  const Mask result = operation(a, b);
  std::vector<float> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected[i] = static_cast<float>(naive(static_cast<double>(x[i]), static_cast<double>(y[i])));
  }
  RC_ASSERT(to_dense(result) == expected);
  // The result is canonical, and the operands are unchanged.
  RC_ASSERT(result == from_dense(visibility, extent, expected));
  RC_ASSERT(to_dense(a) == x);
  RC_ASSERT(to_dense(b) == y);
}

RC_GTEST_PROP(SetOperations, UnionAgreesWithEveryEntry, ()) {
  check_against_naive(union_of, [](double p, double q) { return 1.0 - (1.0 - p) * (1.0 - q); });
}

RC_GTEST_PROP(SetOperations, IntersectionMultipliesEveryEntry, ()) {
  check_against_naive(intersection_of, [](double p, double q) { return p * q; });
}

RC_GTEST_PROP(SetOperations, DifferenceRemovesWhatIsActive, ()) {
  check_against_naive(difference_of, [](double p, double q) { return q > 0 ? 0.0 : p; });
}

RC_GTEST_PROP(SetOperations, DeterministicPartAndSupportAgreeWithEveryEntry, ()) {
  check_against_naive([](const Mask& a, const Mask&) { return deterministic_part(a); },
                      [](double p, double) { return p == 1.0 ? 1.0 : 0.0; });
  check_against_naive([](const Mask& a, const Mask&) { return support_of(a); },
                      [](double p, double) { return p > 0.0 ? 1.0 : 0.0; });
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

RC_GTEST_PROP(SetOperations, SubsetFollowsFromTheLattice, ()) {
  const Three m(Kind::kSampled);
  RC_ASSERT(is_subset(m.a, m.a));
  RC_ASSERT(is_subset(m.a, union_of(m.a, m.b)));
  RC_ASSERT(is_subset(intersection_of(m.a, m.b), m.a));
  RC_ASSERT(is_subset(difference_of(m.a, m.b), m.a));
  RC_ASSERT(is_subset(m.a, m.b) ==
            (difference_of(m.a, m.b) == Mask::empty(m.visibility, m.extent)));
}

RC_GTEST_PROP(SampledMasks, UnionAssociatesWithinRounding, ()) {
  const Three m(Kind::kSampled);
  const std::vector<float> left = to_dense(union_of(union_of(m.a, m.b), m.c));
  const std::vector<float> right = to_dense(union_of(m.a, union_of(m.b, m.c)));
  for (std::size_t i = 0; i < left.size(); ++i) {
    RC_ASSERT(std::abs(left[i] - right[i]) <= 4e-7F * left[i]);
    RC_ASSERT((left[i] == 1.0F) == (right[i] == 1.0F));
  }
}

RC_GTEST_PROP(SampledMasks, UnionIsMonotoneAndIntersectionShrinks, ()) {
  const Three m(Kind::kSampled);
  const std::vector<float> a = to_dense(m.a);
  const std::vector<float> b = to_dense(m.b);
  const std::vector<float> united = to_dense(union_of(m.a, m.b));
  const std::vector<float> common = to_dense(intersection_of(m.a, m.b));
  for (std::size_t i = 0; i < a.size(); ++i) {
    RC_ASSERT(united[i] >= std::max(a[i], b[i]));
    RC_ASSERT(common[i] <= std::min(a[i], b[i]));
  }
  // The union is monotone: a larger operand gives a larger result.
  const std::vector<float> more = to_dense(union_of(union_of(m.a, m.c), m.b));
  for (std::size_t i = 0; i < a.size(); ++i) RC_ASSERT(more[i] >= united[i] * (1.0F - 4e-7F));
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
  const std::vector<float> common = to_dense(intersection_of(a, b));
  EXPECT_EQ(common[1], most);
  EXPECT_GT(common[2], 0.0F);
  EXPECT_EQ(common[3], 1e-40F);
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
