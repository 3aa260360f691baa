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

}  // namespace
}  // namespace maskerade
