// Tests with an emulated device of a kind that no test machine has.

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

TEST(CudaDeviceDeathTest, WithoutKernelsForItSaysSo) {
  // A process looks for its device once, so this must be tested in a new process.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("MASKERADE_EMULATE_NO_CODE", "1", 1);
        std::cerr << cuda_device().reason << '\n';
        std::exit(cuda_device().is_available ? 1 : 0);
      },
      testing::ExitedWithCode(0),
      "^this build has no kernels for sm_90: it is emulated device, sm_90, 1 multiprocessors, "
      "CUDA [0-9.]*; build with its number in CMAKE_CUDA_ARCHITECTURES");
}

}  // namespace
}  // namespace maskerade
