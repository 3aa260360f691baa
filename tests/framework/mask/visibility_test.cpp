#include "framework/mask/visibility.hpp"

#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::shape_error_of;

TEST(Visibility, AllQueriesSeeEveryKeyFromTheLastPositions) {
  const Visibility visibility = Visibility::all(3, 10);
  EXPECT_EQ(visibility.query_len(), 3);
  EXPECT_EQ(visibility.key_len(), 10);
  EXPECT_FALSE(visibility.is_causal());
  EXPECT_EQ(visibility.positions(), (std::vector<std::int64_t>{7, 8, 9}));
  EXPECT_EQ(visibility.ends(), (std::vector<std::int64_t>{10, 10, 10}));
  EXPECT_EQ(visibility.visible_entries(), 30);
}

TEST(Visibility, MoreQueriesThanKeysAreAllowedWhenNotCausal) {
  const Visibility visibility = Visibility::all(4, 2);
  EXPECT_EQ(visibility.positions(), (std::vector<std::int64_t>{-2, -1, 0, 1}));
  EXPECT_EQ(visibility.end(0), 2);
}

TEST(Visibility, CausalQueriesSeeKeysUpToTheirPosition) {
  const Visibility visibility = Visibility::causal(3, 10);
  EXPECT_TRUE(visibility.is_causal());
  EXPECT_EQ(visibility.position(0), 7);
  EXPECT_EQ(visibility.ends(), (std::vector<std::int64_t>{8, 9, 10}));
  EXPECT_EQ(visibility.visible_entries(), 27);
}

TEST(Visibility, GivenPositionsNeedNotAscend) {
  const Visibility causal = Visibility::at_positions({4, 0, 9}, 10, true);
  EXPECT_EQ(causal.ends(), (std::vector<std::int64_t>{5, 1, 10}));
  const Visibility all = Visibility::at_positions({4, 0, 9}, 10, false);
  EXPECT_EQ(all.ends(), (std::vector<std::int64_t>{10, 10, 10}));
  EXPECT_EQ(all.position(1), 0);
}

TEST(Visibility, EqualityComparesWhatIsVisible) {
  EXPECT_EQ(Visibility::causal(3, 10), Visibility::at_positions({7, 8, 9}, 10, true));
  EXPECT_EQ(Visibility::all(1, 10), Visibility::causal(1, 10));
  EXPECT_FALSE(Visibility::all(2, 10) == Visibility::causal(2, 10));
  EXPECT_FALSE(Visibility::all(2, 10) == Visibility::all(2, 11));
  EXPECT_FALSE(Visibility::all(2, 10) == Visibility::all(3, 10));
}

TEST(Visibility, ImpossibleLengthsAndPositionsAreNamed) {
  EXPECT_EQ(shape_error_of([] { Visibility::causal(5, 4); }),
            "query_len is 5, more than key_len, 4; causal attention without query_positions needs "
            "query_len <= key_len");
  EXPECT_EQ(shape_error_of([] {
              Visibility::at_positions({0, 10}, 10, true);
            }),
            "query_positions[1] is 10; with key_len 10 it must be between 0 and 9");
  EXPECT_EQ(shape_error_of([] { Visibility::at_positions({-1}, 10, false); }),
            "query_positions[0] is -1; with key_len 10 it must be between 0 and 9");
  EXPECT_EQ(shape_error_of([] { Visibility::all(0, 4); }),
            "query_len is 0; it must be between 1 and 2147483647");
  EXPECT_EQ(shape_error_of([] { Visibility::all(1, 0); }),
            "key_len is 0; it must be between 1 and 2147483647");
}

}  // namespace
}  // namespace maskerade
