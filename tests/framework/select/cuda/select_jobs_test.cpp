// Compares the selection kernels on a device, real or emulated, with the CPU's functions.

#include "framework/select/cuda/select_jobs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "framework/select/stream_scores.hpp"
#include "framework/select/top_k.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/cuda/stream.hpp"
#include "framework/tensor/tensor.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade::cuda {
namespace {

template <typename T>
DeviceBuffer<T> upload(const std::vector<T>& values, const CudaStream& stream) {
  return {std::span<const T>(values), stream.get()};
}

TEST(SelectJobs, TopKHasTheTiesAndTheSpecialNumbersOfTheCpus) {
  SKIP_WITHOUT_DEVICE();
  const CudaStream stream;
  std::mt19937 engine(3);
  const float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0F,       -0.0F,         1.0F,           -1.0F, kInfinity,
                           -kInfinity, std::nanf(""), -std::nanf(""), 1e-45F};
  for (const std::int64_t length : {1, 31, 64, 65, 300, 1030, 2500}) {
    constexpr std::int64_t kLists = 6;
    const std::int64_t words = (length + 63) / 64;
    std::vector<float> scores(static_cast<std::size_t>(kLists * words * 64));
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const bool is_special = i / static_cast<std::size_t>(words * 64) % 2 == 0;
      scores[i] = is_special ? special[engine() % std::size(special)] : normal(engine);
    }
    const auto random_bits = [&] {
      std::vector<std::uint64_t> bits(static_cast<std::size_t>(kLists * words));
      for (std::uint64_t& word : bits) {
        word =
            (std::uint64_t{engine()} << 32 | engine()) & (std::uint64_t{engine()} << 32 | engine());
      }
      return bits;
    };
    const std::vector<std::uint64_t> one = random_bits();
    const std::vector<std::uint64_t> other = random_bits();
    std::vector<std::uint64_t> excluded = one;
    for (std::size_t i = 0; i < excluded.size(); ++i) excluded[i] |= other[i];
    const std::vector<std::int64_t> lengths(kLists, length);
    const std::vector<std::int64_t> counts = {0, 1, length / 3, length / 2, length, length + 7};
    const auto on_device = upload(scores, stream);
    const auto one_on_device = upload(one, stream);
    const auto other_on_device = upload(other, stream);
    const auto ends = upload(lengths, stream);
    const auto wanted = upload(counts, stream);
    const DeviceBuffer<std::uint64_t> bits(kLists * words, stream.get());
    bits.fill_bytes(0);
    add_top({.count = kLists,
             .ends = ends.data(),
             .key_len = words * 64,
             .excluded = one_on_device.data(),
             .also_excluded = other_on_device.data(),
             .words = words,
             .counts = wanted.data(),
             .bits = bits.data()},
            {.scores = on_device.data(), .stride = words * 64}, stream.get());
    const std::vector<std::uint64_t> found = bits.download();
    TopK top_k;
    for (std::int64_t list = 0; list < kLists; ++list) {
      const auto at = static_cast<std::size_t>(list * words);
      const auto expected =
          top_k.select_bits(std::span(scores).subspan(at * 64, static_cast<std::size_t>(length)),
                            std::span(excluded).subspan(at, static_cast<std::size_t>(words)),
                            counts[static_cast<std::size_t>(list)]);
      for (std::size_t word = 0; word < static_cast<std::size_t>(words); ++word) {
        ASSERT_EQ(found[at + word], word < expected.size() ? expected[word] : 0)
            << "length " << length << " list " << list << " word " << word;
      }
    }
  }
}

TEST(SelectJobs, ProductsAreSummedInTheCpusOrder) {
  SKIP_WITHOUT_DEVICE();
  const CudaStream stream;
  std::mt19937 engine(5);
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const std::int64_t dim : {1, 31, 32, 33, 128, 200}) {
      constexpr std::int64_t kGroups = 3;
      constexpr std::int64_t kGroupVectors = 11;
      constexpr std::int64_t kKeys = 200;
      std::normal_distribution<float> normal(0, 30);
      const auto random = [&](std::int64_t rows) {
        std::vector<float> values(static_cast<std::size_t>(kGroups * rows * dim));
        for (float& value : values) value = normal(engine);
        return Tensor::from_floats(dtype, 1, kGroups, rows, dim, values.data());
      };
      const Tensor vectors = random(kGroupVectors);
      const Tensor keys = random(kKeys);
      const auto bytes = [&](const Tensor& tensor, std::int64_t rows) {
        return std::span(static_cast<const std::byte*>(tensor.view().data),
                         static_cast<std::size_t>(kGroups * rows * dim) * size_of(dtype));
      };
      const DeviceBuffer<std::byte> v(bytes(vectors, kGroupVectors), stream.get());
      const DeviceBuffer<std::byte> k(bytes(keys, kKeys), stream.get());
      // The range of vectors begins and ends in the middle of a group.
      constexpr std::int64_t kFirst = 5;
      constexpr std::int64_t kLast = 28;
      const DeviceBuffer<float> products((kLast - kFirst) * kKeys, stream.get());
      multiply({.vectors = v.data(),
                .keys = k.data(),
                .key_stride = dim,
                .key_group_stride = kKeys * dim,
                .group_vectors = kGroupVectors,
                .first = kFirst,
                .last = kLast,
                .key_count = kKeys,
                .dim = dim,
                .products = products.data(),
                .product_stride = kKeys},
               dtype, stream.get());
      const std::vector<float> found = products.download();
      for (std::int64_t vector = kFirst; vector < kLast; ++vector) {
        std::vector<float> query(static_cast<std::size_t>(dim));
        const std::int64_t group = vector / kGroupVectors;
        vectors.view().load_row(0, group, vector % kGroupVectors, query.data());
        std::vector<float> expected(kKeys);
        stream_scores(query.data(), dim, 1, keys.view(), 0, group, 0, kKeys, expected.data(),
                      kKeys);
        for (std::int64_t key = 0; key < kKeys; ++key) {
          ASSERT_EQ(found[static_cast<std::size_t>((vector - kFirst) * kKeys + key)],
                    expected[static_cast<std::size_t>(key)])
              << name_of(dtype) << " dim " << dim << " vector " << vector << " key " << key;
        }
      }
    }
  }
}

}  // namespace
}  // namespace maskerade::cuda
