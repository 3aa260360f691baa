#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "attention/cpu/cost_model.hpp"
#include "attention/cuda/device_roofs.hpp"
#include "attention/research_attention.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/measure/machine_peaks.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/dense_reference.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// How cells are run.
struct RunOptions {
  Threads threads = Threads::all_processors();
  std::int64_t chunk_rows = 1024;  // query rows of one piece of selection; changes no result
  CostModel costs = CostModel::defaults();  // by which the cpu backend chooses kernels
  std::optional<MachinePeaks> peaks = {};   // of `threads`; without them nothing is attainable
  std::optional<DeviceRoofs> roofs = {};    // of the CUDA device; the same
  // Asked before each job and each repetition: whether the run should stop. The cell in flight is
  // given up.
  std::function<bool()> is_stopped = [] { return false; };
};

// Thrown, and caught by the runner, when a run is stopped while a cell is in flight. Rationale: it
// is no std::exception, because what a cell throws becomes the cell's failure.
struct RunStopped {};

// Throws RunStopped when the run should stop.
void check_stopped(const RunOptions& options);

// What a cell is measured on and against: the inputs that a backend shows, and their dense
// reference on it.
struct CellContext {
  Backend& backend;
  DType dtype;
  const DenseReference& dense;
  const CheckSpec& check;
  const MeasureSpec& measure;
  const RunOptions& options;

  const AttentionInputs& inputs() const { return backend.inputs(); }
};

// Measures and checks one pipeline on the context's backend. Each repetition runs the dense
// reference, and prepares, selects, plans and attends anew; nothing is kept from one to the next
// but the loaded maskers, which hold nothing of the data. Which of the two comes first alternates.
// The dense reference's plan is made once for the workload and not timed. Fidelity, the oracle and
// the check that every repetition selects the same mask stand outside the timed region. Fills
// `result`; sets it to failed, with the reason, when a check does not hold. Throws what a stage
// throws.
void run_cell(const CellContext& context,
              const ResearchAttention& attention,
              std::uint64_t mask_seed,
              CellResult& result);

// The same for the dense reference by itself.
void run_dense_cell(const CellContext& context, CellResult& result);

// The results of every (batch, query head).
std::vector<HeadResult> heads_of(const Mask& mask,
                                 const AttentionShape& shape,
                                 const Fidelity& fidelity);

// The counts of a mask over the whole problem: entries, tiles and rows of a mask that is broadcast
// count once for every head and batch entry that they hold for.
MaskCounts count_whole_problem(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
