#include <cuda_runtime.h>

#include "framework/select/cuda/device_thread.cuh"
#include "framework/select/cuda/product_kernel.hpp"
#include "framework/select/cuda/select_kernel.hpp"
#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade::cuda {
namespace {

template <typename Kernel, typename... Jobs>
__global__ void __launch_bounds__(Kernel::kThreads)
    select_kernel(const __grid_constant__ Jobs... jobs) {
  __shared__ __align__(16) std::byte shared[Kernel::kSharedBytes];
  DeviceThread thread;
  Kernel(thread, jobs..., shared).run();
}

// Enqueues a kernel of so many blocks, each with the same jobs. Throws ShapeError when there are
// more blocks than a launch can have, CudaError when it is refused.
template <typename Kernel, typename... Jobs>
void launch(const char* name, std::int64_t blocks, cudaStream_t stream, const Jobs&... jobs) {
  constexpr std::int64_t kMostBlocks = 2147483647;
  if (blocks <= 0) return;
  if (blocks > kMostBlocks) {
    throw ShapeError(std::string(name) + " has more than 2^31 - 1 blocks; split the batch");
  }
  select_kernel<Kernel, Jobs...>
      <<<static_cast<unsigned>(blocks), Kernel::kThreads, 0, stream>>>(jobs...);
  check_launch(name);
}

template <DType kType>
void launch_products(const ProductJob& job, cudaStream_t stream) {
  using Kernel = ProductKernel<DeviceThread, kType>;
  launch<Kernel>("multiply", Kernel::blocks(job), stream, job);
}

}  // namespace

void multiply(const ProductJob& job, DType dtype, cudaStream_t stream) {
  if (job.first >= job.last || job.key_count <= 0) return;
  if (dtype == DType::kFloat32) launch_products<DType::kFloat32>(job, stream);
  if (dtype == DType::kFloat16) launch_products<DType::kFloat16>(job, stream);
  if (dtype == DType::kBFloat16) launch_products<DType::kBFloat16>(job, stream);
}

void add_top(const SelectJob& job, const ScoreRanks& ranks, cudaStream_t stream) {
  launch<TopKernel<DeviceThread>>("add_top", job.count, stream, job, ranks);
}

void add_draw(const DrawJob& job, cudaStream_t stream) {
  launch<DrawKernel<DeviceThread>>("add_draw", job.select.count, stream, job);
}

void count_candidates(const CountJob& job, cudaStream_t stream) {
  launch<CountKernel<DeviceThread>>("count_candidates", job.select.count, stream, job);
}

}  // namespace maskerade::cuda
