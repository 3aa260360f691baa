#include <cuda.h>

#include "attention/cuda/detail/hopper_lane.cuh"
#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/launch_block.cuh"
#include "attention/cuda/detail/warpgroup_tiles_kernel.hpp"

namespace maskerade::cuda {
namespace {

// The driver's function, without a link to the driver's library: a program that finds no driver
// starts all the same.
decltype(&cuTensorMapEncodeTiled) find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = {};
  constexpr unsigned kVersion = 12000;  // the first that has it
  check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kVersion,
                                              cudaEnableDefault, &found),
             "cudaGetDriverEntryPointByVersion for cuTensorMapEncodeTiled");
  if (found != cudaDriverEntryPointSuccess) {
    throw Error("the CUDA driver has no cuTensorMapEncodeTiled: it is older than CUDA 12.0");
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

CUtensorMap encode(const TensorTiles& tiles, DType dtype) {
  static const auto kEncode = find_encode();
  const cuuint64_t dims[3] = {tiles.dims[0], tiles.dims[1], tiles.dims[2]};
  const cuuint64_t strides[2] = {tiles.strides[0], tiles.strides[1]};
  const cuuint32_t box[3] = {TensorTiles::kBoxDim, TensorTiles::kBoxKeys, 1};
  const cuuint32_t steps[3] = {1, 1, 1};
  CUtensorMap map;
  const CUresult code = kEncode(
      &map,
      dtype == DType::kFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
      3, const_cast<void*>(tiles.data), dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (code != CUDA_SUCCESS) {
    throw Error("cuTensorMapEncodeTiled failed with CUDA driver error " +
                std::to_string(static_cast<int>(code)));
  }
  return map;
}

template <DType kType, int kDim>
void launch(const AttendArguments& arguments, const TilePlan& plan, cudaStream_t stream) {
  using Kernel = WarpgroupTilesKernel<HopperLane, kType, kDim>;
  launch_block<Kernel, HopperLane>(
      "attend_tiles_sm90", RowBlockPairs{plan.layout}.count() * arguments.splits,
      Kernel::shared_bytes(plan.mask.has_sampled()),
      typename Kernel::Arguments{arguments, encode(key_tiles(arguments, plan.layout.batch), kType),
                                 encode(value_tiles(arguments, plan.layout.batch), kType)},
      plan, stream);
}

}  // namespace

bool can_attend_tiles_sm90(const AttendArguments& arguments,
                           std::int64_t batch,
                           DType dtype) noexcept {
  try {
    encode(key_tiles(arguments, batch), dtype);
    encode(value_tiles(arguments, batch), dtype);
    return true;
  } catch (const std::exception&) {
    cudaGetLastError();  // what was tried is no later call's error
    return false;
  }
}

void attend_tiles_sm90(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t stream) {
  const bool is_half = dtype == DType::kFloat16;
  if (arguments.head_dim == 64) {
    is_half ? launch<DType::kFloat16, 64>(arguments, plan, stream)
            : launch<DType::kBFloat16, 64>(arguments, plan, stream);
  } else {
    is_half ? launch<DType::kFloat16, 128>(arguments, plan, stream)
            : launch<DType::kBFloat16, 128>(arguments, plan, stream);
  }
}

}  // namespace maskerade::cuda
