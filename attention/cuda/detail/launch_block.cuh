#pragma once

#include <cuda_runtime.h>

#include "attention/cuda/detail/device_lane.cuh"
#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade::cuda {

// Runs a kernel class (TilesKernel, ...) on the device: every thread is a Lane.
template <typename Kernel, typename Lane, typename Arguments, typename Plan>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kBlocksPerMultiprocessor)
    run_block_kernel(const __grid_constant__ Arguments arguments,
                     const __grid_constant__ Plan plan) {
  extern __shared__ __align__(128) std::byte shared[];
  Lane lane;
  Kernel(lane, arguments, plan, shared).run();
}

// A launch of a kernel class.
struct BlockLaunch {
  const char* name;  // for errors
  std::int64_t blocks;
  int shared_bytes;  // of each block, dynamic
  cudaStream_t stream;
};

// Enqueues Kernel(lane, arguments, plan, shared).run() for the threads of all blocks. Throws
// ShapeError when there are more blocks than a grid has, CudaError when the launch is refused.
template <typename Kernel, typename Lane = DeviceLane, typename Arguments, typename Plan>
void launch_block(const BlockLaunch& launch, const Arguments& arguments, const Plan& plan) {
  constexpr int kStaticLimit = 48 * 1024;  // more must be asked for
  constexpr std::int64_t kMostBlocks = 2147483647;
  if (launch.blocks > kMostBlocks) {
    throw ShapeError(std::string(launch.name) + " has more than 2^31 - 1 blocks; split the batch");
  }
  const auto kernel = run_block_kernel<Kernel, Lane, Arguments, Plan>;
  if (launch.shared_bytes > kStaticLimit) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    launch.shared_bytes),
               "cudaFuncSetAttribute");
  }
  kernel<<<static_cast<unsigned>(launch.blocks), Kernel::kThreads,
           static_cast<std::size_t>(launch.shared_bytes), launch.stream>>>(arguments, plan);
  check_launch(launch.name);
}

}  // namespace maskerade::cuda
