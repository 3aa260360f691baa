#include "framework/mask/cuda/device_mask.hpp"

#include <gtest/gtest.h>

#include "framework/mask/set_operations.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "framework/tensor/cuda/stream.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade {
namespace {

TEST(DeviceMask, ComesBackAsItWentUp) {
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason;
  const CudaStream stream;
  unsigned seed = 0;
  for (const std::int64_t query_len : {1, 64, 131}) {
    for (const std::int64_t key_len : {200, 4500}) {
      for (const bool sampled : {false, true}) {
        const Visibility visibility = Visibility::causal(query_len, key_len);
        const Mask mask = random_mask(visibility, {2, 3}, {.sampled = sampled}, ++seed);
        EXPECT_EQ(DeviceMask::upload(mask, stream.get()).download(visibility), mask);
      }
    }
  }
}

TEST(DeviceMask, TheAlgebraOfBitsIsTheCpus) {
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason;
  const CudaStream stream;
  unsigned seed = 100;
  const MaskExtent extents[][2] = {{{1, 1}, {1, 1}}, {{2, 3}, {1, 1}}, {{1, 2}, {2, 6}}};
  for (const auto& [of_a, of_b] : extents) {
    for (const std::int64_t query_len : {1, 64, 131}) {
      for (const std::int64_t key_len : {150, 4500}) {
        const Visibility visibility = Visibility::causal(query_len, key_len);
        const Mask a = random_mask(visibility, of_a, {.tiles = 0.5}, ++seed);
        const Mask b = seed % 3 == 0 ? Mask::full(visibility, of_b)
                                     : random_mask(visibility, of_b, {.tiles = 0.5}, ++seed);
        const DeviceMask on_a = DeviceMask::upload(a, stream.get());
        const DeviceMask on_b = DeviceMask::upload(b, stream.get());
        EXPECT_EQ(on_a.united(on_b).download(visibility), union_of(a, b));
        EXPECT_EQ(on_a.intersected(on_b).download(visibility), intersection_of(a, b));
        EXPECT_EQ(on_a.without(on_b).download(visibility), difference_of(a, b));
        EXPECT_EQ(on_a.complement().download(visibility), complement_of(a));
        // The results of operations can be operands.
        EXPECT_EQ(on_a.without(on_b).united(on_a.intersected(on_b)).download(visibility),
                  union_of(a, difference_of(b, b)));
      }
    }
  }
}

TEST(DeviceMask, AnAllocationThatFailedIsNotTheNextLaunchsError) {
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason;
  const CudaStream stream;
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);  // looking for the device has left no error
  constexpr std::int64_t kTooMany = std::int64_t{1} << 50;
  EXPECT_THROW(DeviceBuffer<std::byte>(kTooMany, stream.get()), CudaError);
  const Visibility visibility = Visibility::causal(70, 200);
  const Mask mask = random_mask(visibility, {}, {}, 1);
  EXPECT_EQ(DeviceMask::upload(mask, stream.get()).download(visibility), mask);
}

TEST(DeviceMask, RefusesOperandsThatDoNotFit) {
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason;
  const CudaStream stream;
  const auto upload = [&](const Mask& mask) { return DeviceMask::upload(mask, stream.get()); };
  const Visibility visibility = Visibility::all(2, 70);
  const DeviceMask two = upload(Mask::full(visibility, {1, 2}));
  try {
    two.united(upload(Mask::full(visibility, {1, 3})));
    FAIL() << "no error";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "a mask of (1, 2, 2, 70) cannot be combined with one of (1, 3, 2, 70)");
  }
  EXPECT_THROW(two.united(upload(random_mask(visibility, {}, {.keys = 1, .sampled = true}, 1))),
               ShapeError);
}

}  // namespace
}  // namespace maskerade
