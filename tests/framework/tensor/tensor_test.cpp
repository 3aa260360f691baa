#include "framework/tensor/tensor.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

std::vector<float> ascending(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

TEST(Tensor, FromFloatsIsContiguousAlignedAndInOrder) {
  const std::vector<float> values = ascending(2 * 3 * 5 * 4);
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const Tensor tensor = Tensor::from_floats(dtype, 2, 3, 5, 4, values.data());
    const TensorView& view = tensor.view();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.data) % 64, 0U);
    EXPECT_EQ(view.dtype, dtype);
    std::vector<float> row(4);
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t h = 0; h < 3; ++h) {
        for (std::int64_t i = 0; i < 5; ++i) {
          view.load_row(b, h, i, row.data());
          for (std::int64_t d = 0; d < 4; ++d) {
            EXPECT_EQ(row[static_cast<std::size_t>(d)],
                      static_cast<float>(((b * 3 + h) * 5 + i) * 4 + d));
          }
        }
      }
    }
  }
}

TEST(Tensor, ATensorThatNoMemoryHoldsIsRefused) {
  try {
    new_tensor(DType::kFloat32, 65536, 65536, 65536, 65536);
    FAIL() << "accepted";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "a tensor [65536, 65536, 65536, 65536] is too large; it must have fewer than 2^60 "
                 "elements");
  }
}

TEST(TensorView, StridesMayBeAnything) {
  // The tensor lies in memory as [length, heads, dim].
  const std::vector<float> values = ascending(5 * 3 * 4);
  const TensorView view{.data = values.data(),
                        .dtype = DType::kFloat32,
                        .batch = 1,
                        .heads = 3,
                        .length = 5,
                        .dim = 4,
                        .batch_stride = 0,
                        .head_stride = 4,
                        .row_stride = 12};
  std::vector<float> row(4);
  view.load_row(0, 2, 3, row.data());
  EXPECT_EQ(row, (std::vector<float>{44, 45, 46, 47}));
}

TEST(Tensor, CopiesShareMemoryThatOutlivesTheFirst) {
  const std::vector<float> values = ascending(8);
  Tensor copy;
  const void* data = nullptr;
  {
    const Tensor tensor = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 4, values.data());
    data = tensor.view().data;
    copy = tensor;
  }
  EXPECT_EQ(copy.view().data, data);
  EXPECT_EQ(load_float(DType::kFloat32, copy.view().row(0, 0, 1), 3), 7.0F);
}

TEST(AlignedFloats, AreAligned) {
  const auto memory = aligned_floats(17);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 64, 0U);
  memory[16] = 1.0F;
  EXPECT_EQ(memory[16], 1.0F);
}

TEST(AlignedFloats, BeginOnAHugePageWhereTheyFillOne) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t count = kHugePage / sizeof(float) + 1;
  const auto memory = aligned_floats(count);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % kHugePage, 0U);
  memory[count - 1] = 1.0F;
  EXPECT_EQ(memory[count - 1], 1.0F);
}

}  // namespace
}  // namespace maskerade
