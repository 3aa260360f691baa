#include "experiments/rules/mask_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"
#include "tests/experiments/rules/expect_rule.hpp"

namespace maskerade::rules {
namespace {

const Visibility kCausal = Visibility::causal(70, 130);
constexpr MaskExtent kExtent{2, 3};

Mask sampled_mask(unsigned seed) {
  return random_mask(kCausal, kExtent, {.tiles = 0.3, .keys = 0.4, .sampled = true}, seed);
}
Mask bit_mask(unsigned seed) {
  return random_mask(kCausal, kExtent, {.tiles = 0.3, .keys = 0.4}, seed);
}

TEST(RowProbabilities, AreThoseOfTheMask) {
  const Mask mask = sampled_mask(1);
  for (std::int64_t head = 0; head < kExtent.heads; ++head) {
    for (std::int64_t query = 0; query < mask.query_len(); ++query) {
      const std::vector<float> row = row_probabilities(mask, 1, head, query);
      for (std::int64_t key = 0; key < mask.key_len(); ++key) {
        EXPECT_EQ(row[static_cast<std::size_t>(key)], mask.probability(1, head, query, key));
      }
    }
  }
}

// ---- Canonical form ----------------------------------------------------------------------------

// Two causal queries over 100 keys, at positions 98 and 99: two tiles, all but the last key seen by
// both. What is changed of one good tile row is planted.
class CanonicalForm : public testing::Test {
 protected:
  CanonicalForm() {
    TileRowBuilder builder(visibility_);
    builder.add_range(0, 2, 0, 64);
    builder.add_key(0, 70);
    builder.add_key(1, 80, 0.5F);
    builder.add_key(1, 90, 0.25F);
    row_ = builder.finish();
  }
  Violations check() const {
    return check_canonical_form(Mask::from_tile_rows(visibility_, {}, {row_}));
  }
  // Words of tile 1, the only partial one.
  std::uint64_t& word(std::size_t query) { return row_.partial.at(query); }
  std::string only_finding() const {
    const Violations found = check();
    if (found.size() != 1) return std::to_string(found.size()) + " violations";
    return to_string(found.front().where) + ": " + found.front().finding;
  }

  Visibility visibility_ = Visibility::causal(2, 100);
  TileRow row_;
};

TEST_F(CanonicalForm, HoldsOfWhatABuilderMakes) {
  EXPECT_TRUE(holds(check()));
  EXPECT_TRUE(holds(check_canonical_form(sampled_mask(1))));
  EXPECT_TRUE(holds(check_canonical_form(Mask::full(kCausal, kExtent))));
  EXPECT_TRUE(holds(check_canonical_form(Mask::empty(kCausal, kExtent))));
}

TEST_F(CanonicalForm, FindsAnInvisibleBit) {
  word(0) |= std::uint64_t{1} << 35;  // key 99, which query 0 at position 98 does not see
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 0, key 99: the bit is set, and the row sees 99 keys");
}

TEST_F(CanonicalForm, FindsABitBeyondTheKeys) {
  word(1) |= std::uint64_t{1} << 40;
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 1, key 104: the bit is set, and the row sees 100 keys");
}

TEST_F(CanonicalForm, FindsAFullTileThatIsNotMarked) {
  word(0) = (std::uint64_t{1} << 35) - 1;
  word(1) = (std::uint64_t{1} << 36) - 1;
  row_.sampled_counts.clear();
  row_.sampled_keys.clear();
  row_.sampled_probabilities.clear();
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 0, key 64: every visible entry of the tile is active and it is "
            "not marked full");
}

TEST_F(CanonicalForm, FindsAnEmptyTileThatIsMarkedActive) {
  word(0) = 0;
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 0, key 64: the tile is marked as active and has no active bit");
}

TEST_F(CanonicalForm, FindsAFullTileOfWhichNoRowSeesAKey) {
  const Visibility visibility = Visibility::at_positions({5, 6}, 100, true);
  TileRow row;
  row.any = row.full = {2};  // tile 1
  const Violations found = check_canonical_form(Mask::from_tile_rows(visibility, {}, {row}));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().finding, "the tile is marked full and no row sees a key of it");
}

TEST_F(CanonicalForm, FindsAFullTileThatIsNotMarkedActive) {
  const Mask mask = Mask::from_tile_rows(visibility_, {}, {row_});
  MaskArrays arrays = mask.arrays();
  const std::vector<std::uint64_t> any = {2};
  arrays.any = any;
  EXPECT_EQ(check_canonical_form(visibility_, {}, arrays).front().finding,
            "the tile is marked full and not marked as active");
}

TEST_F(CanonicalForm, FindsSampledKeysInDisorder) {
  std::swap(row_.sampled_keys.front(), row_.sampled_keys.back());
  EXPECT_EQ(
      only_finding(),
      "batch 0, head 0, query 1, key 80: the sampled key follows key 90; sampled keys ascend");
}

TEST_F(CanonicalForm, FindsASampledKeyTwice) {
  row_.sampled_keys.back() = row_.sampled_keys.front();
  EXPECT_EQ(
      only_finding(),
      "batch 0, head 0, query 1, key 80: the sampled key follows key 80; sampled keys ascend");
}

TEST_F(CanonicalForm, FindsAnInvisibleSampledKey) {
  row_.sampled_keys.back() = 100;
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 1, key 100: the key is sampled, and the row sees 100 keys");
}

TEST_F(CanonicalForm, FindsProbabilitiesOutsideZeroToOne) {
  for (const float wrong : {0.0F, -0.5F, 1.0F, 1.5F, std::numeric_limits<float>::quiet_NaN()}) {
    row_.sampled_probabilities.front() = wrong;
    EXPECT_TRUE(finds(check(), "a mask is in canonical form")) << wrong;
    EXPECT_EQ(check().size(), 1U) << wrong;
  }
  row_.sampled_probabilities.front() = 1;
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 1, key 80: the sampled entry has probability 1; it must be in "
            "(0, 1), and what has probability 1 is a bit");
}

TEST_F(CanonicalForm, FindsASampledKeyThatIsABit) {
  word(1) |= std::uint64_t{1} << 16;  // key 80
  EXPECT_EQ(only_finding(),
            "batch 0, head 0, query 1, key 80: the key is a bit and is sampled with probability "
            "0.5");
}

TEST_F(CanonicalForm, FindsListsWithoutEntries) {
  const Mask mask = Mask::full(visibility_);
  MaskArrays arrays = mask.arrays();
  const std::vector<std::int64_t> offsets = {0, 0, 0};
  arrays.sampled_offsets = offsets;
  EXPECT_EQ(check_canonical_form(visibility_, {}, arrays).front().finding,
            "the mask has lists of sampled entries and no sampled entry");
}

// ---- Comparisons -------------------------------------------------------------------------------

// The mask with another probability of one entry.
Mask with_entry(const Mask& mask, const EntryLocation& at, float probability) {
  std::vector<float> weights = to_dense(mask);
  const std::int64_t row = (at.batch * mask.extent().heads + at.head) * mask.query_len() + at.query;
  weights[static_cast<std::size_t>(row * mask.key_len() + at.key)] = probability;
  return from_dense(mask.visibility(), mask.extent(), weights);
}

TEST(SameEntries, HoldsAcrossExtentsAndFindsOneEntry) {
  const Mask one = random_mask(kCausal, {}, {.sampled = true}, 3);
  EXPECT_TRUE(holds(check_same_entries("same", one, broadcast(one, kExtent))));
  const EntryLocation at{1, 2, 69, 7};
  const Mask mask = sampled_mask(2);
  const Violations found = check_same_entries("same", with_entry(mask, at, 0.75F), mask);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().where, at);
}

TEST(SameEntries, FindsAnotherVisibility) {
  EXPECT_TRUE(
      finds(check_same_entries("same", Mask::full(kCausal), Mask::full(Visibility::all(70, 130))),
            "same"));
}

TEST(SameEntries, FindsExtentsThatDoNotBroadcast) {
  const Mask mask = Mask::empty(kCausal, {2, 3});
  for (const MaskExtent extent : {MaskExtent{3, 3}, MaskExtent{2, 2}}) {
    const Mask other = Mask::empty(kCausal, extent);
    EXPECT_TRUE(finds(check_same_entries("same", other, mask), "same"));
    EXPECT_TRUE(finds(check_previous_is_kept(other, mask), "the previous mask is kept"));
  }
}

TEST(PreviousIsKept, HoldsOfAUnionAndFindsALostEntry) {
  const Mask previous = with_entry(sampled_mask(2), {0, 1, 20, 5}, 0.5F);
  const Mask result = union_of(previous, bit_mask(3));
  EXPECT_TRUE(holds(check_previous_is_kept(previous, result)));
  for (const float less : {0.0F, 0.25F}) {
    const Violations found =
        check_previous_is_kept(previous, with_entry(previous, {0, 1, 20, 5}, less));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found.front().where, (EntryLocation{0, 1, 20, 5}));
  }
}

// ---- The algebra -------------------------------------------------------------------------------

TEST(MaskAlgebra, OfTheFrameworkFollowsItsLaws) {
  const Mask a = sampled_mask(1);
  const Mask b = sampled_mask(2);
  const Mask c = sampled_mask(3);
  EXPECT_TRUE(holds(check_sampled_laws(a, b, c)));
  EXPECT_TRUE(holds(check_operations_entry_by_entry(a, b)));
  EXPECT_TRUE(holds(check_lattice_laws(bit_mask(1), bit_mask(2), bit_mask(3))));
  EXPECT_TRUE(holds(check_lattice_laws(support_of(a), support_of(b), support_of(c))));
}

TEST(MaskAlgebra, AsksTheLatticeOnlyOfMasksWithoutSampledEntries) {
  EXPECT_THROW(check_lattice_laws(sampled_mask(1), bit_mask(2), bit_mask(3)), Error);
}

// An operation on each entry.
MaskAlgebra::Binary each_entry(float (*operation)(float, float)) {
  return [operation](const Mask& a, const Mask& b) {
    std::vector<float> p = to_dense(a);
    const std::vector<float> q = to_dense(b);
    for (std::size_t i = 0; i < p.size(); ++i) p[i] = operation(p[i], q[i]);
    return from_dense(a.visibility(), a.extent(), p);
  };
}

Mask first_of(const Mask& a, const Mask&) { return a; }
Mask second_of(const Mask&, const Mask& b) { return b; }
Mask nothing_of(const Mask& a, const Mask&) { return Mask::empty(a.visibility(), a.extent()); }
Mask either_of(const Mask& a, const Mask& b) {
  return union_of(difference_of(a, b), difference_of(b, a));
}

// An algebra of which one operation is wrong, and the laws that then do not hold.
struct WrongAlgebra {
  const char* name;
  void (*plant)(MaskAlgebra&);
  std::vector<const char*> broken;
  friend void PrintTo(const WrongAlgebra& wrong, std::ostream* stream) { *stream << wrong.name; }
};

class WrongLattice : public testing::TestWithParam<WrongAlgebra> {};
class WrongSampledAlgebra : public testing::TestWithParam<WrongAlgebra> {};
class WrongOperation : public testing::TestWithParam<WrongAlgebra> {};

std::string name_of_case(const testing::TestParamInfo<WrongAlgebra>& info) {
  return info.param.name;
}

TEST_P(WrongLattice, IsFound) {
  MaskAlgebra algebra;
  GetParam().plant(algebra);
  const Violations found = check_lattice_laws(bit_mask(1), bit_mask(2), bit_mask(3), algebra);
  for (const char* law : GetParam().broken) EXPECT_TRUE(finds(found, law));
}

INSTANTIATE_TEST_SUITE_P(
    Operation,
    WrongLattice,
    testing::Values(
        WrongAlgebra{"UnionIsTheFirstOperand",
                     [](MaskAlgebra& m) { m.union_of = first_of; },
                     {"union commutes", "a mask and its complement make everything visible",
                      "union with everything is everything"}},
        WrongAlgebra{"UnionIsTheIntersection",
                     [](MaskAlgebra& m) { m.union_of = intersection_of; },
                     {"union absorbs intersection", "union with nothing changes nothing"}},
        WrongAlgebra{"UnionIsEitherAlone",
                     [](MaskAlgebra& m) { m.union_of = either_of; },
                     {"union is idempotent"}},
        WrongAlgebra{"UnionIsTheDifference",
                     [](MaskAlgebra& m) { m.union_of = difference_of; },
                     {"union associates", "union distributes over intersection"}},
        WrongAlgebra{"IntersectionIsTheFirstOperand",
                     [](MaskAlgebra& m) { m.intersection_of = first_of; },
                     {"intersection commutes", "a mask and its complement share nothing",
                      "intersection with nothing is empty"}},
        WrongAlgebra{"IntersectionIsTheUnion",
                     [](MaskAlgebra& m) { m.intersection_of = union_of; },
                     {"intersection absorbs union", "intersection with everything changes nothing",
                      "an intersection is a subset of its operands"}},
        WrongAlgebra{"IntersectionIsEitherAlone",
                     [](MaskAlgebra& m) { m.intersection_of = either_of; },
                     {"intersection is idempotent"}},
        WrongAlgebra{"IntersectionIsTheDifference",
                     [](MaskAlgebra& m) { m.intersection_of = difference_of; },
                     {"intersection associates", "intersection distributes over union"}},
        WrongAlgebra{"ComplementIsTheMask",
                     [](MaskAlgebra& m) { m.complement_of = [](const Mask& a) { return a; }; },
                     {"the complement of a union is the intersection of complements",
                      "the complement of an intersection is the union of complements",
                      "the complement of nothing is everything visible",
                      "difference is the intersection with the complement"}},
        WrongAlgebra{
            "ComplementIsNothing",
            [](MaskAlgebra& m) {
              m.complement_of = [](const Mask& a) { return nothing_of(a, a); };
            },
            {"complement is an involution", "a mask and its complement make everything visible"}},
        WrongAlgebra{"DifferenceIsTheFirstOperand",
                     [](MaskAlgebra& m) { m.difference_of = first_of; },
                     {"a mask without itself is empty", "a mask without everything is empty"}},
        WrongAlgebra{
            "DifferenceIsTheSecondOperand",
            [](MaskAlgebra& m) { m.difference_of = second_of; },
            {"a mask without nothing is itself", "a difference is a subset of its first operand"}},
        WrongAlgebra{
            "SubsetIsAlways",
            [](MaskAlgebra& m) { m.is_subset = [](const Mask&, const Mask&) { return true; }; },
            {"a subset is what leaves no difference"}},
        WrongAlgebra{
            "SubsetIsNever",
            [](MaskAlgebra& m) { m.is_subset = [](const Mask&, const Mask&) { return false; }; },
            {"nothing is a subset of every mask", "every mask is a subset of everything visible",
             "a mask is a subset of itself", "a mask is a subset of its unions",
             "an intersection is a subset of its operands",
             "a difference is a subset of its first operand"}}),
    name_of_case);

TEST_P(WrongSampledAlgebra, IsFound) {
  MaskAlgebra algebra;
  GetParam().plant(algebra);
  const Violations found =
      check_sampled_laws(sampled_mask(1), sampled_mask(2), sampled_mask(3), algebra);
  for (const char* law : GetParam().broken) EXPECT_TRUE(finds(found, law));
}

INSTANTIATE_TEST_SUITE_P(
    Operation,
    WrongSampledAlgebra,
    testing::Values(
        WrongAlgebra{"UnionIsTheMean",
                     [](MaskAlgebra& m) {
                       m.union_of = each_entry([](float p, float q) { return (p + q) / 2; });
                     },
                     {"union associates within rounding",
                      "union is no smaller than an operand, and 1 exactly where one is"}},
        WrongAlgebra{"UnionAddsAndReachesOne",
                     [](MaskAlgebra& m) {
                       m.union_of =
                           each_entry([](float p, float q) { return std::min(p + q, 1.0F); });
                     },
                     {"union is no smaller than an operand, and 1 exactly where one is"}},
        WrongAlgebra{"UnionIsTheDistance",
                     [](MaskAlgebra& m) {
                       m.union_of =
                           each_entry([](float p, float q) { return p < q ? q - p : p - q; });
                     },
                     {"union is monotone"}},
        WrongAlgebra{"UnionDropsWhatTheSecondSamples",
                     [](MaskAlgebra& m) {
                       m.union_of = [](const Mask& a, const Mask& b) {
                         return union_of(a, deterministic_part(b));
                       };
                     },
                     {"union commutes", "the support of a union is the union of supports"}},
        WrongAlgebra{"IntersectionDropsWhatIsSampled",
                     [](MaskAlgebra& m) {
                       m.intersection_of = [](const Mask& a, const Mask& b) {
                         return intersection_of(deterministic_part(a), deterministic_part(b));
                       };
                     },
                     {"the support of an intersection is the intersection of supports"}},
        WrongAlgebra{"IntersectionIsTheLarger",
                     [](MaskAlgebra& m) {
                       m.intersection_of =
                           each_entry([](float p, float q) { return std::max(p, q); });
                     },
                     {"intersection is no larger than an operand"}},
        WrongAlgebra{"DifferenceKeepsWhatTheSecondSamples",
                     [](MaskAlgebra& m) {
                       m.difference_of = [](const Mask& a, const Mask& b) {
                         return difference_of(a, deterministic_part(b));
                       };
                     },
                     {"the support of a difference is the difference of supports"}},
        WrongAlgebra{"SupportIsTheMask",
                     [](MaskAlgebra& m) { m.support_of = [](const Mask& a) { return a; }; },
                     {"a support has no sampled entries"}},
        WrongAlgebra{"ComplementIsOfTheSupport",
                     [](MaskAlgebra& m) {
                       m.complement_of = [](const Mask& a) { return complement_of(support_of(a)); };
                     },
                     {"the complement of a mask with sampled entries is refused"}},
        WrongAlgebra{"UnionIsNotCanonical",
                     [](MaskAlgebra& m) {
                       m.union_of = [](const Mask& a, const Mask& b) {
                         const Mask united = union_of(a, b);
                         TileRow row;
                         row.any = {1};
                         row.full = {0};
                         row.partial.assign(64, 0);
                         TileRow last = row;
                         last.partial.assign(6, 0);
                         std::vector<TileRow> rows;
                         for (std::int64_t i = 0; i < kExtent.batch * kExtent.heads; ++i) {
                           rows.insert(rows.end(), {row, last});
                         }
                         return Mask::from_tile_rows(united.visibility(), united.extent(), rows);
                       };
                     },
                     {"a mask is in canonical form"}}),
    name_of_case);

TEST_P(WrongOperation, IsFoundEntryByEntry) {
  MaskAlgebra algebra;
  GetParam().plant(algebra);
  Mask a = sampled_mask(1);
  Mask b = sampled_mask(2);
  const Violations found = check_operations_entry_by_entry(a, b, algebra);
  for (const char* law : GetParam().broken) EXPECT_TRUE(finds(found, law));
}

INSTANTIATE_TEST_SUITE_P(
    Operation,
    WrongOperation,
    testing::Values(WrongAlgebra{"UnionIsTheLarger",
                                 [](MaskAlgebra& m) {
                                   m.union_of =
                                       each_entry([](float p, float q) { return std::max(p, q); });
                                 },
                                 {"union is 1 - (1 - p)(1 - p')"}},
                    WrongAlgebra{"IntersectionIsTheSmaller",
                                 [](MaskAlgebra& m) {
                                   m.intersection_of =
                                       each_entry([](float p, float q) { return std::min(p, q); });
                                 },
                                 {"intersection multiplies"}},
                    WrongAlgebra{"DifferenceKeepsWhatTheSecondSamples",
                                 [](MaskAlgebra& m) {
                                   m.difference_of = [](const Mask& a, const Mask& b) {
                                     return difference_of(a, deterministic_part(b));
                                   };
                                 },
                                 {"difference removes what is active"}},
                    WrongAlgebra{"SupportIsTheDeterministicPart",
                                 [](MaskAlgebra& m) { m.support_of = deterministic_part; },
                                 {"a support is 1 where a mask is active"}},
                    WrongAlgebra{"SupportChangesItsOperand",
                                 [](MaskAlgebra& m) {
                                   m.support_of = [](const Mask& a) {
                                     Mask support = support_of(a);
                                     // The test's masks are not const.
                                     const_cast<Mask&>(a) = nothing_of(a, a);
                                     return support;
                                   };
                                 },
                                 {"an operation leaves its operands as they were"}}),
    name_of_case);

// What float32 would round to 1, or to 0, is neither: an entry that is sampled stays so.
TEST(EntryByEntry, HoldsWhereProbabilitiesRoundToOneOrToZero) {
  const Visibility visibility = Visibility::all(1, 5);
  const float most = std::nextafter(1.0F, 0.0F);
  const float least = std::numeric_limits<float>::denorm_min();
  const Mask a = from_dense(visibility, {}, std::vector<float>{most, least, 1.0F, 0.0F, 3e-9F});
  const Mask b = from_dense(visibility, {}, std::vector<float>{0.75F, 0.25F, most, least, 7e-9F});
  EXPECT_TRUE(holds(check_operations_entry_by_entry(a, b)));
  EXPECT_TRUE(holds(check_operations_entry_by_entry(b, a)));
}

// ---- Conversions -------------------------------------------------------------------------------

TEST(Conversions, OfTheFrameworkLoseNothing) {
  for (const Mask& mask :
       {sampled_mask(1), bit_mask(2), Mask::empty(kCausal, kExtent), Mask::full(kCausal)}) {
    EXPECT_TRUE(holds(check_conversions(mask)));
  }
}

TEST(Conversions, OneThatLosesEntriesIsFound) {
  const Mask mask = sampled_mask(1);
  const auto without_sampled = [](const Mask& of) { return deterministic_part(of); };
  MaskConversions conversions;
  conversions.by_dense = without_sampled;
  EXPECT_TRUE(
      finds(check_conversions(mask, conversions), "a mask comes back from dense probabilities"));
  conversions = {};
  conversions.by_compressed_rows = without_sampled;
  EXPECT_TRUE(
      finds(check_conversions(mask, conversions), "a mask comes back from compressed rows"));
  conversions = {};
  conversions.by_flat_entries = without_sampled;
  EXPECT_TRUE(finds(check_conversions(mask, conversions), "a mask comes back from flat entries"));
  conversions = {};
  conversions.by_blocks = without_sampled;
  EXPECT_TRUE(finds(check_conversions(mask, conversions), "blocks hold the whole mask"));
}

}  // namespace
}  // namespace maskerade::rules
