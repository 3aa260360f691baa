#include <cuda.h>

#include "attention/cuda/detail/hopper_lane.cuh"
#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/launch_block.cuh"
#include "attention/cuda/detail/warpgroup_tiles_kernel.hpp"

namespace maskerade::cuda {
namespace {

// The driver's function cuTensorMapEncodeTiled. Rationale: it is looked up at run time instead of
// linked, so that the program starts on machines without a driver. Throws CudaError or Error.
decltype(&cuTensorMapEncodeTiled) find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = {};
  constexpr unsigned kVersion = 12000;  // the first version of CUDA with the function
  check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kVersion,
                                              cudaEnableDefault, &found),
             "cudaGetDriverEntryPointByVersion for cuTensorMapEncodeTiled");
  if (found != cudaDriverEntryPointSuccess) {
    throw Error("the CUDA driver has no cuTensorMapEncodeTiled: it is older than CUDA 12.0");
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

// The tensor map of a tensor, as the copy engine reads it. Throws Error when the driver refuses it.
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
      {.name = "attend_tiles_sm90",
       .blocks = RowBlockPairs{plan.layout}.count() * arguments.splits,
       .shared_bytes = Kernel::shared_bytes(plan.mask.has_sampled()),
       .stream = stream},
      typename Kernel::Arguments{arguments, encode(key_tiles(arguments, plan.layout.batch), kType),
                                 encode(value_tiles(arguments, plan.layout.batch), kType)},
      plan);
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
    cudaGetLastError();  // clears the error, so that no later call reports it
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
