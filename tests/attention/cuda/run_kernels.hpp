#pragma once

#include <cstdint>

#include "attention/cuda/detail/plain_kernel.hpp"
#include "attention/cuda/detail/rows_kernel.hpp"
#include "attention/cuda/detail/tiles_kernel.hpp"
#include "framework/tensor/cuda/host_steps.hpp"
#include "tests/attention/cuda/emulated_block.hpp"
#include "tests/attention/cuda/emulated_hopper.hpp"

// Launches the kernels of the CUDA backend on an emulated block, as the functions of kernels.hpp
// launch them on a device. Arguments point to host memory; results are there on return. seed: of
// the order in which warps run.
namespace maskerade::cuda {

// Calls body.operator()<kType, kDim>() with dtype, float16 or bfloat16, and dim, 64 or 128.
template <typename Body>
void with_matrix_shape(DType dtype, std::int64_t dim, const Body& body) {
  if (dtype == DType::kFloat16) {
    dim == 64 ? body.template operator()<DType::kFloat16, 64>()
              : body.template operator()<DType::kFloat16, 128>();
  } else {
    dim == 64 ? body.template operator()<DType::kBFloat16, 64>()
              : body.template operator()<DType::kBFloat16, 128>();
  }
}

inline void emulate_tiles(const AttendArguments& arguments,
                          const TilePlan& plan,
                          DType dtype,
                          unsigned seed) {
  with_matrix_shape(dtype, arguments.head_dim, [&]<DType kType, int kDim>() {
    using Kernel = TilesKernel<EmulatedLane, kType, kDim>;
    run_emulated<Kernel>({.blocks = plan.layout.row_blocks() * arguments.splits,
                          .shared_bytes = Kernel::shared_bytes(plan.mask.has_sampled()),
                          .seed = seed},
                         arguments, plan);
  });
}

inline void emulate_warpgroup_tiles(const AttendArguments& arguments,
                                    const TilePlan& plan,
                                    DType dtype,
                                    unsigned seed) {
  with_matrix_shape(dtype, arguments.head_dim, [&]<DType kType, int kDim>() {
    using Kernel = WarpgroupTilesKernel<EmulatedHopperLane, kType, kDim>;
    const typename Kernel::Arguments all{arguments, key_tiles(arguments, plan.layout.batch),
                                         value_tiles(arguments, plan.layout.batch)};
    run_emulated_hopper<Kernel>({.blocks = RowBlockPairs{plan.layout}.count() * arguments.splits,
                                 .shared_bytes = Kernel::shared_bytes(plan.mask.has_sampled()),
                                 .seed = seed},
                                all, plan);
  });
}

inline void emulate_rows(const AttendArguments& arguments,
                         const RowPlan& plan,
                         DType dtype,
                         unsigned seed) {
  with_matrix_shape(dtype, arguments.head_dim, [&]<DType kType, int kDim>() {
    using Kernel = RowsKernel<EmulatedLane, kType, kDim>;
    run_emulated<Kernel>({.blocks = plan.layout.row_blocks() * arguments.splits,
                          .shared_bytes = Kernel::kSharedBytes,
                          .seed = seed},
                         arguments, plan);
  });
}

// Keys is TileRowKeys or ListedRowKeys.
template <typename Keys>
void emulate_plain(const AttendArguments& arguments,
                   const typename Keys::Plan& plan,
                   DType dtype,
                   unsigned seed) {
  const auto run = [&]<DType kType>() {
    using Kernel = PlainKernel<EmulatedLane, kType, Keys>;
    run_emulated<Kernel>({.blocks = plan.layout.row_blocks() * arguments.splits * Kernel::kGroups,
                          .shared_bytes = Kernel::kSharedBytes,
                          .seed = seed},
                         arguments, plan);
  };
  if (dtype == DType::kFloat32) run.template operator()<DType::kFloat32>();
  if (dtype == DType::kFloat16) run.template operator()<DType::kFloat16>();
  if (dtype == DType::kBFloat16) run.template operator()<DType::kBFloat16>();
}

// rows: the most rows of a row block of the layout.
template <typename Layout>
void emulate_merge(const AttendArguments& arguments, const Layout& layout, std::int64_t rows) {
  HostSteps().for_each(layout.row_blocks() * rows * arguments.head_dim,
                       MergeParts<Layout>{arguments, layout, rows});
}

}  // namespace maskerade::cuda
