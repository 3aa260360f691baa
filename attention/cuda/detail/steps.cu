#include "attention/cuda/detail/kernels.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade::cuda {

void plan_tiles(const TilePlan& plan, cudaStream_t stream) {
  make_tile_plan(DeviceSteps(stream), plan);
}

void plan_rows(const RowPlan& plan, cudaStream_t stream) {
  make_row_plan(DeviceSteps(stream), plan);
}

void merge_tile_parts(const AttendArguments& arguments,
                      const TileLayout& layout,
                      cudaStream_t stream) {
  DeviceSteps(stream).for_each(layout.row_blocks() * kBlockRows * arguments.head_dim,
                               MergeParts<TileLayout>{arguments, layout, kBlockRows});
}

void merge_row_parts(const AttendArguments& arguments,
                     const RowLayout& layout,
                     cudaStream_t stream) {
  DeviceSteps(stream).for_each(layout.row_blocks() * kListRows * arguments.head_dim,
                               MergeParts<RowLayout>{arguments, layout, kListRows});
}

void weigh_rows(const WeighRows& body, std::int64_t rows, cudaStream_t stream) {
  DeviceSteps(stream).for_each(rows, body);
}

void read_words(const ReadWords& body, std::int64_t count, cudaStream_t stream) {
  DeviceSteps(stream).for_each(count, body);
}

}  // namespace maskerade::cuda
