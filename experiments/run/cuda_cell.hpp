#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attention/cuda/cuda_attention.hpp"
#include "attention/research_attention.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// A workload on the CUDA device: its q, k and v, and attention over every visible key, what its
// cells are compared with and timed beside: by cuDNN where it takes the problem, else by our own
// kernel.
struct CudaReference {
  // Uploads, attends once, outside any timed region, and compares with the oracle.
  CudaReference(const AttentionInputs& inputs, const CheckSpec& check, const Threads& threads);

  CudaAttention device;
  Mask mask;
  CudaMask device_mask;
  AttentionOutput output;
  std::string cudnn_problem;  // why the plan is not cuDNN's; "" when it is
  CudaPlan plan;
  std::vector<std::int64_t> oracle_rows;
  OracleError oracle;
};

// What a cell on the device is measured against.
struct CudaCellContext {
  const AttentionInputs& inputs;
  DType dtype;
  CudaReference& dense;
  const MeasureSpec& measure;
  const RunOptions& options;
};

// Why a job cannot run on the device: "" when it can. described: its result before it is run.
std::string cuda_obstacle(const Workload& workload,
                          const Pipeline& pipeline,
                          const CellResult& described);

// Says in a result what is the device's own: its name, its roofs as peaks where its kernels
// multiply matrices, and the tolerance of their arithmetic unless the experiment states one.
// Nothing where there is no device.
void describe_cuda(const CheckSpec& check, const RunOptions& options, CellResult& result);

// run_cell on the device: maskers select there where they can; where one runs on the CPU, copying
// its mask to the device is part of the timed selection. Plan, attend, the dense reference and a
// selection on the device alone are timed by events, each with the second-level cache that the
// measure asks for. Fidelity and the oracle's check are those of the CPU.
void run_cuda_cell(const CudaCellContext& context,
                   const Pipeline& pipeline,
                   std::optional<Kernel> kernel,
                   std::uint64_t mask_seed,
                   CellResult& result);

// The same for the dense reference by itself.
void run_cuda_dense_cell(const CudaCellContext& context, CellResult& result);

}  // namespace maskerade
