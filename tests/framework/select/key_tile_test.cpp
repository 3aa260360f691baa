#include "framework/select/key_tile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

TEST(ScoreTile, EqualsSequentialFusedSumsOnEveryTarget) {
  for (const int dim : {1, 20, 64, 80, 128}) {
    const std::vector<float> packed = random_floats(static_cast<std::size_t>(dim) * 64, 1);
    auto aligned = aligned_floats(packed.size());
    std::copy(packed.begin(), packed.end(), aligned.get());
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 11, 64}) {
      const std::int64_t query_stride = dim + 3;
      const std::vector<float> queries =
          random_floats(static_cast<std::size_t>(rows * query_stride), 2);
      for_each_target([&](const char* target) {
        SCOPED_TRACE(::testing::Message() << target << " dim " << dim << " rows " << rows);
        std::vector<float> scores(static_cast<std::size_t>(rows) * 65 + 1, -7.0F);
        score_tile(queries.data(), query_stride, rows, aligned.get(), dim, scores.data() + 1, 65);
        int wrong = 0;
        for (int r = 0; r < rows; ++r) {
          for (int j = 0; j < 64; ++j) {
            float sum = 0;
            for (int d = 0; d < dim; ++d) {
              sum = std::fma(queries[static_cast<std::size_t>(r * query_stride + d)],
                             packed[static_cast<std::size_t>(d * 64 + j)], sum);
            }
            wrong += same_bits(sum, scores[static_cast<std::size_t>(1 + r * 65 + j)]) ? 0 : 1;
          }
        }
        EXPECT_EQ(wrong, 0);
        const float before_the_first_row = scores.front();
        const float after_the_first_row = scores[65];
        EXPECT_EQ(before_the_first_row, -7.0F);
        EXPECT_EQ(after_the_first_row, -7.0F) << "a row's neighbour is untouched";
      });
    }
  }
}

TEST(PackKeys, TransposesAndWidensExactly) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const std::int64_t dim : {1, 3, 20, 64, 80, 130}) {
      const std::int64_t length = 150;
      std::vector<float> values = random_floats(static_cast<std::size_t>(2 * 2 * length * dim), 3);
      values[0] = std::numeric_limits<float>::denorm_min();
      values[1 % values.size()] = 1e-6F;  // a denormal number in float16
      const Tensor tensor = Tensor::from_floats(dtype, 2, 2, length, dim, values.data());
      const TensorView view = tensor.view();
      for (const int count : {1, 5, 16, 33, 63, 64}) {
        std::vector<std::int32_t> listed;
        for (int j = 0; j < count; ++j) listed.push_back((j * 37 + 11) % 150);
        for_each_target([&](const char* target) {
          SCOPED_TRACE(::testing::Message()
                       << target << " " << name_of(dtype) << " dim " << dim << " count " << count);
          for (const bool gathered : {false, true}) {
            auto packed = aligned_floats(static_cast<std::size_t>(dim * 64));
            std::fill_n(packed.get(), dim * 64, 9.0F);
            if (gathered) {
              pack_keys(view, 1, 0, listed, packed.get());
            } else {
              pack_keys(view, 1, 0, 86, count, packed.get());
            }
            int wrong = 0;
            for (std::int64_t d = 0; d < dim; ++d) {
              for (int j = 0; j < 64; ++j) {
                const std::int64_t key =
                    gathered ? listed[static_cast<std::size_t>(j % count)] : 86 + j;
                const float expected =
                    j < count ? load_float(dtype, view.row(1, 0, key), static_cast<std::size_t>(d))
                              : 0.0F;
                wrong += same_bits(expected, packed[static_cast<std::size_t>(d * 64 + j)]) ? 0 : 1;
              }
            }
            EXPECT_EQ(wrong, 0);
          }
        });
      }
    }
  }
}

TEST(PackKeys, ReadsStridedTensors) {
  const std::vector<float> values = random_floats(64 * 3 * 8, 4);
  // The tensor lies in memory as [length][heads][dim].
  const TensorView view{.data = values.data(),
                        .batch = 1,
                        .heads = 3,
                        .length = 64,
                        .dim = 8,
                        .batch_stride = 0,
                        .head_stride = 8,
                        .row_stride = 24};
  auto packed = aligned_floats(8 * 64);
  pack_keys(view, 0, 1, 0, 64, packed.get());
  for (std::size_t j = 0; j < 64; ++j) {
    for (std::size_t d = 0; d < 8; ++d) EXPECT_EQ(packed[d * 64 + j], values[j * 24 + 8 + d]);
  }
}

}  // namespace
}  // namespace maskerade
