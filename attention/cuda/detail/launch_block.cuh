#pragma once

#include <cuda_runtime.h>

#include "attention/cuda/detail/device_lane.cuh"
#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade::cuda {

// Runs a kernel class (TilesKernel, ...) with real threads, Lanes.
template <typename Kernel, typename Lane, typename Arguments, typename Plan>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kBlocksPerMultiprocessor)
    run_block_kernel(const __grid_constant__ Arguments arguments,
                     const __grid_constant__ Plan plan) {
  extern __shared__ __align__(128) std::byte shared[];
  Lane lane;
  Kernel(lane, arguments, plan, shared).run();
}

template <typename Kernel, typename Lane = DeviceLane, typename Arguments, typename Plan>
void launch_block(const char* name,
                  std::int64_t blocks,
                  int shared_bytes,
                  const Arguments& arguments,
                  const Plan& plan,
                  cudaStream_t stream) {
  constexpr int kStaticLimit = 48 * 1024;
  constexpr std::int64_t kMostBlocks = 2147483647;
  if (blocks > kMostBlocks) {
    throw ShapeError(std::string(name) + " has more than 2^31 - 1 blocks; split the batch");
  }
  const auto kernel = run_block_kernel<Kernel, Lane, Arguments, Plan>;
  if (shared_bytes > kStaticLimit) {
    check_cuda(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
        "cudaFuncSetAttribute");
  }
  kernel<<<static_cast<unsigned>(blocks), Kernel::kThreads, static_cast<std::size_t>(shared_bytes),
           stream>>>(arguments, plan);
  check_launch(name);
}

}  // namespace maskerade::cuda
