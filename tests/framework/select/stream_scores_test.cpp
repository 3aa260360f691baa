#include "framework/select/stream_scores.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "framework/tensor/owned_tensor.hpp"
#include "tests/framework/select/each_target.hpp"

namespace maskerade {

void PrintTo(DType dtype, std::ostream* stream) { *stream << name_of(dtype); }

namespace {

std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(engine);
  return values;
}

// The bits of a product that is summed in the documented order.
std::uint32_t product_bits(const float* query, const TensorView& keys, std::int64_t key) {
  float sum = 0;
  for (std::int64_t d = 0; d < keys.dim; ++d) {
    const float k = load_float(keys.dtype, keys.row(1, 0, key), static_cast<std::size_t>(d));
    sum = std::fma(query[d], k, sum);
  }
  return std::bit_cast<std::uint32_t>(sum);
}

class StreamScores : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(DTypes,
                         StreamScores,
                         ::testing::Values(DType::kFloat32, DType::kFloat16, DType::kBFloat16),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

TEST_P(StreamScores, EqualsSequentialFusedSumsOnEveryTarget) {
  constexpr std::int64_t kLength = 120;
  for (const std::int64_t dim : {1, 3, 20, 64, 130, 256}) {
    const std::vector<float> values = random_floats(2 * 2 * kLength * dim, 1);
    const Tensor tensor = Tensor::from_floats(GetParam(), 2, 2, kLength, dim, values.data());
    const TensorView keys = tensor.view();
    const std::int64_t query_stride = dim + 3;
    const std::vector<float> queries = random_floats(8 * query_stride, 2);
    std::vector<std::vector<std::uint32_t>> expected(8);
    for (std::int64_t r = 0; r < 8; ++r) {
      for (std::int64_t key = 0; key < kLength; ++key) {
        expected[static_cast<std::size_t>(r)].push_back(
            product_bits(&queries[static_cast<std::size_t>(r * query_stride)], keys, key));
      }
    }
    for (const std::int64_t count : {0, 1, 7, 16, 31, 32, 33, 100}) {
      std::vector<std::int32_t> listed;
      for (std::int64_t j = 0; j < count; ++j) {
        listed.push_back(static_cast<std::int32_t>((j * 37 + 11) % kLength));
      }
      for (int rows = 1; rows <= kMostStreamedRows; ++rows) {
        for_each_target([&](const char* target) {
          for (const bool gathered : {false, true}) {
            constexpr std::int64_t kStride = 105;
            std::vector<float> scores(static_cast<std::size_t>(rows * kStride), -7.0F);
            if (gathered) {
              stream_scores(queries.data(), query_stride, rows, keys, 1, 0, listed, scores.data(),
                            kStride);
            } else {
              stream_scores(queries.data(), query_stride, rows, keys, 1, 0, 20, count,
                            scores.data(), kStride);
            }
            int wrong = 0;
            for (std::int64_t r = 0; r < rows; ++r) {
              for (std::int64_t j = 0; j < kStride; ++j) {
                const std::int64_t key =
                    gathered && j < count ? listed[static_cast<std::size_t>(j)] : 20 + j;
                const std::uint32_t right =
                    j < count ? expected[static_cast<std::size_t>(r)][static_cast<std::size_t>(key)]
                              : std::bit_cast<std::uint32_t>(-7.0F);
                wrong += std::bit_cast<std::uint32_t>(
                             scores[static_cast<std::size_t>(r * kStride + j)]) != right;
              }
            }
            EXPECT_EQ(wrong, 0) << target << " dim " << dim << " count " << count << " rows "
                                << rows << (gathered ? " listed" : "");
          }
        });
      }
    }
  }
}

TEST(StreamScoresLayout, ReadsStridedTensors) {
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
  const std::vector<float> query = {1, 0, 0, 0, 0, 0, 0, 0};
  std::vector<float> scores(64);
  stream_scores(query.data(), 8, 1, view, 0, 1, 0, 64, scores.data(), 64);
  for (std::size_t j = 0; j < 64; ++j) EXPECT_EQ(scores[j], values[j * 24 + 8]);
}

}  // namespace
}  // namespace maskerade
