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

// The host's functions that launch the CUDA kernels; each is defined in a .cu file. They enqueue on
// the stream and do not wait. All throw CudaError when a launch is refused.
namespace maskerade::cuda {

// Fill the arrays of a plan, see make_tile_plan() and make_row_plan().
void plan_tiles(const TilePlan& plan, cudaStream_t stream);
void plan_rows(const RowPlan& plan, cudaStream_t stream);

// Attention by matrix products of a warp. Require has_matrix_kernel(dtype, head_dim).
void attend_tiles_sm80(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t stream);
void attend_rows_sm80(const AttendArguments& arguments,
                      const RowPlan& plan,
                      DType dtype,
                      cudaStream_t stream);

// Whether the driver can make the tensor maps of k and v that attend_tiles_sm90() needs. Requires
// that key_tiles() and value_tiles() are encodable.
bool can_attend_tiles_sm90(const AttendArguments& arguments,
                           std::int64_t batch,
                           DType dtype) noexcept;
// Attention by matrix products of warpgroups. Requires a device of compute capability 9.0,
// has_matrix_kernel(dtype, head_dim) and can_attend_tiles_sm90().
void attend_tiles_sm90(const AttendArguments& arguments,
                       const TilePlan& plan,
                       DType dtype,
                       cudaStream_t stream);

// Attention in float32 arithmetic for every dtype and head_dim up to kMostCudaHeadDim.
void attend_tiles_plain(const AttendArguments& arguments,
                        const TilePlan& plan,
                        DType dtype,
                        cudaStream_t stream);
void attend_rows_plain(const AttendArguments& arguments,
                       const RowPlan& plan,
                       DType dtype,
                       cudaStream_t stream);

// The float64 oracle of `rows` rows [batch, query_heads, query_len], see attend_oracle_steps().
void attend_oracle(const OracleArguments& arguments, std::int64_t rows, cudaStream_t stream);

// The attention weights of `rows` rows [batch, query_heads, query_len], see WeighRows.
void weigh_rows(const WeighRows& body, std::int64_t rows, cudaStream_t stream);

// Merge the parts of row blocks into out and lse, see MergeParts. For arguments.splits > 1.
// Merge the parts of row blocks into out and lse, see MergeParts. For arguments.splits > 1.
void merge_tile_parts(const AttendArguments& arguments,
                      const TileLayout& layout,
                      cudaStream_t stream);
void merge_row_parts(const AttendArguments& arguments,
                     const RowLayout& layout,
                     cudaStream_t stream);

// Call i reads words[i], which is 0. Afterwards the second-level cache holds these words and
// nothing that has yet to be written to memory. Rationale for odd: a word other than 0 would be
// stored there, so that the compiler cannot leave out the read.
struct ReadWords {
  const std::uint64_t* words;  // [count] zeros
  std::uint64_t* odd;          // one word

  MASKERADE_DEVICE void operator()(std::int64_t i) const {
    if (words[i] != 0) *odd = words[i];
  }
};
void read_words(const ReadWords& body, std::int64_t count, cudaStream_t stream);

}  // namespace maskerade::cuda
