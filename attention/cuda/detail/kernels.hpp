#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/oracle_steps.hpp"
#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "attention/cuda/detail/weigh_rows.hpp"
#include "attention/cuda/matrix_shapes.hpp"
#include "framework/tensor/dtype.hpp"

// What enqueues the kernels. Each is compiled by nvcc in a file of its own name. All throw
// CudaError when a launch is refused.
namespace maskerade::cuda {

void plan_tiles(const TilePlan& plan, cudaStream_t stream);
void plan_rows(const RowPlan& plan, cudaStream_t stream);

// Require has_matrix_kernel.
void attend_tiles_sm80(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t stream);
void attend_rows_sm80(const AttendArguments& arguments,
                      const RowPlan& plan,
                      DType dtype,
                      cudaStream_t stream);

// Whether the driver gives tensor maps of k and v, which are encodable TensorTiles.
bool can_attend_tiles_sm90(const AttendArguments& arguments,
                           std::int64_t batch,
                           DType dtype) noexcept;
// Requires a device of compute capability 9.0, has_matrix_kernel, and can_attend_tiles_sm90.
void attend_tiles_sm90(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t stream);

void attend_tiles_plain(const AttendArguments& arguments,
                        const TilePlan& plan,
                        DType dtype,
                        cudaStream_t stream);
void attend_rows_plain(const AttendArguments& arguments,
                       const RowPlan& plan,
                       DType dtype,
                       cudaStream_t stream);

// Float64, over `rows` rows.
void attend_oracle(const OracleArguments& arguments, std::int64_t rows, cudaStream_t stream);

void weigh_rows(const WeighRows& body, std::int64_t rows, cudaStream_t stream);

void merge_tile_parts(const AttendArguments& arguments,
                      const TileLayout& layout,
                      cudaStream_t stream);
void merge_row_parts(const AttendArguments& arguments,
                     const RowLayout& layout,
                     cudaStream_t stream);

// Reads words[0, count), all 0: what the second-level cache holds then is these words, and nothing
// that is yet to be written. A word that is not 0 goes to *odd, so that no read is left out.
struct ReadWords {
  const std::uint64_t* words;
  std::uint64_t* odd;

  MASKERADE_DEVICE void operator()(std::int64_t i) const {
    if (words[i] != 0) *odd = words[i];
  }
};
void read_words(const ReadWords& body, std::int64_t count, cudaStream_t stream);

}  // namespace maskerade::cuda
