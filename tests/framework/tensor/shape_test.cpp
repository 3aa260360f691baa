#include "framework/tensor/shape.hpp"

#include <gtest/gtest.h>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

AttentionShape shape_of_eight_heads() {
  return {.batch = 1,
          .query_heads = 8,
          .kv_heads = 2,
          .query_len = 2048,
          .key_len = 4096,
          .head_dim = 64};
}

std::string error_of(const AttentionShape& shape) {
  try {
    shape.validate();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "";
}

TEST(AttentionShape, QueryHeadsReadTheKvHeadOfTheirGroup) {
  const AttentionShape shape = shape_of_eight_heads();
  EXPECT_EQ(shape.group_size(), 4);
  EXPECT_EQ(shape.kv_head_of(3), 0);
  EXPECT_EQ(shape.kv_head_of(4), 1);
  EXPECT_EQ(shape.rows(), 8 * 2048);
  EXPECT_EQ(shape.to_string(), "(1, 8, 2, 2048, 4096, 64)");
}

TEST(AttentionShape, ImpossibleSizesAreNamed) {
  EXPECT_EQ(error_of(shape_of_eight_heads()), "");
  EXPECT_EQ(error_of({}), "");
  AttentionShape shape = shape_of_eight_heads();
  shape.head_dim = 0;
  EXPECT_EQ(error_of(shape), "head_dim is 0; it must be between 1 and 2147483647");
  shape = shape_of_eight_heads();
  shape.key_len = std::int64_t{1} << 31;
  EXPECT_EQ(error_of(shape), "key_len is 2147483648; it must be between 1 and 2147483647");
  shape = shape_of_eight_heads();
  shape.kv_heads = 3;
  EXPECT_EQ(error_of(shape), "query_heads is 8, which is not a multiple of kv_heads, 3");
}

TEST(AttentionShape, ElementsCanBeCounted) {
  AttentionShape shape{65536, 65536, 65536, 65536, 65536, 65536};
  EXPECT_EQ(error_of(shape),
            "the shape (65536, 65536, 65536, 65536, 65536, 65536) is too large: q, k and the mask "
            "must each have fewer than 2^60 elements");
  constexpr std::int64_t k20 = std::int64_t{1} << 20;
  shape = {.query_heads = k20, .kv_heads = 1, .query_len = k20, .key_len = 1, .head_dim = k20};
  EXPECT_NE(error_of(shape), "");  // q is too large
  shape.head_dim /= 2;
  EXPECT_EQ(error_of(shape), "");
  shape.key_len = k20;
  EXPECT_NE(error_of(shape), "");  // the mask is too large
  shape = {.query_heads = k20, .kv_heads = k20, .query_len = 1, .key_len = k20, .head_dim = k20};
  EXPECT_NE(error_of(shape), "");  // k is too large
}

TEST(CountElements, StopsBeforeItOverflows) {
  EXPECT_EQ(count_elements({2, 3, 5}), 30);
  EXPECT_EQ(count_elements({std::int64_t{1} << 59}), std::int64_t{1} << 59);
  EXPECT_EQ(count_elements({std::int64_t{1} << 30, std::int64_t{1} << 30}), std::nullopt);
  EXPECT_EQ(count_elements({std::int64_t{1} << 62, std::int64_t{1} << 62}), std::nullopt);
  EXPECT_EQ(count_elements({-1, 2}), std::nullopt);
}

}  // namespace
}  // namespace maskerade
