#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/launch_block.cuh"
#include "attention/cuda/detail/plain_kernel.hpp"

namespace maskerade::cuda {
namespace {

template <typename Keys, DType kType>
void launch(const char* name,
            const AttendArguments& arguments,
            const typename Keys::Plan& plan,
            cudaStream_t stream) {
  using Kernel = PlainKernel<DeviceLane, kType, Keys>;
  launch_block<Kernel>({.name = name,
                        .blocks = plan.layout.row_blocks() * arguments.splits * Kernel::kGroups,
                        .shared_bytes = Kernel::kSharedBytes,
                        .stream = stream},
                       arguments, plan);
}

template <typename Keys>
void launch_any(const char* name,
                const AttendArguments& arguments,
                const typename Keys::Plan& plan,
                DType dtype,
                cudaStream_t stream) {
  switch (dtype) {
    case DType::kFloat32:
      return launch<Keys, DType::kFloat32>(name, arguments, plan, stream);
    case DType::kFloat16:
      return launch<Keys, DType::kFloat16>(name, arguments, plan, stream);
    case DType::kBFloat16:
      return launch<Keys, DType::kBFloat16>(name, arguments, plan, stream);
  }
}

}  // namespace

void attend_tiles_plain(const AttendArguments& arguments,
                        const TilePlan& plan,
                        DType dtype,
                        cudaStream_t stream) {
  launch_any<TileRowKeys>("attend_tiles_plain", arguments, plan, dtype, stream);
}

void attend_rows_plain(const AttendArguments& arguments,
                       const RowPlan& plan,
                       DType dtype,
                       cudaStream_t stream) {
  launch_any<ListedRowKeys>("attend_rows_plain", arguments, plan, dtype, stream);
}

}  // namespace maskerade::cuda
