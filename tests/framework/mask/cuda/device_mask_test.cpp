#include "framework/mask/cuda/device_mask.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace maskerade
