#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/launch_block.cuh"
#include "attention/cuda/detail/rows_kernel.hpp"

namespace maskerade::cuda {
namespace {

template <DType kType, int kDim>
void launch(const AttendArguments& arguments, const RowPlan& plan, cudaStream_t stream) {
  using Kernel = RowsKernel<DeviceLane, kType, kDim>;
  launch_block<Kernel>({.name = "attend_rows_sm80",
                        .blocks = plan.layout.row_blocks() * arguments.splits,
                        .shared_bytes = Kernel::kSharedBytes,
                        .stream = stream},
                       arguments, plan);
}

}  // namespace

void attend_rows_sm80(const AttendArguments& arguments,
                      const RowPlan& plan,
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
