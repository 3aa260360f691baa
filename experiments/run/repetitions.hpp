#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/research_attention.hpp"
#include "experiments/measure/device_clocks.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// The first timed stage of a repetition: preparing a pipeline, or appending to one that is
// prepared.
struct PreparationStep {
  // Gives the pipeline that the repetition selects with.
  std::function<PreparedSelection&()> run;
  // Undoes it after everything else of the repetition, untimed.
  std::function<void()> undo;
};

// The times of the stages, one for each repetition, in milliseconds.
struct StageSamples {
  std::vector<double> prepare;  // PreparationStep::run
  std::vector<double> select, plan, attend, dense;
  std::vector<double> total;  // prepare + select + plan + attend
  std::vector<std::vector<double>> select_by_masker;
  std::vector<double> launch;  // see DeviceTiming::launch_ms
};

// One pass of a pipeline through the four timed stages.
struct PipelinePass {
  double prepare_ms = 0;
  double select_ms = 0;
  double plan_ms = 0;
  StageTime attend;
  std::string selection_device;            // see PreparedSelection::device
  std::unique_ptr<SelectedMask> selected;  // outlives its plan
  KernelPlan planned;

  double total_ms() const { return prepare_ms + select_ms + plan_ms + attend.ms; }
};

// Runs and times the stages as the context's measure says; choosing the kernel is not timed.
// prepare: the first timed stage. output: what the kernel attends into, see Kernel::attend.
PipelinePass run_pipeline(const CellContext& context,
                          const ResearchAttention& attention,
                          const std::function<PreparedSelection&()>& prepare,
                          AttentionOutput& output);

// What repetitions gave. Mask, plan and output are those of the last one.
struct RepetitionResult {
  StageSamples samples;
  std::string selection_device;            // see PreparedSelection::device
  std::unique_ptr<SelectedMask> selected;  // outlives its plan
  KernelPlan planned;
  AttentionOutput output;
  bool same_mask = true;  // whether every repetition selected the same mask
  std::optional<DeviceTiming> device_timing;
};

// Repeats, after a warm-up, until the context's stopping rule is met, `least` times at least. A
// repetition runs the dense reference, and prepares a pipeline, selects, plans and attends; which
// of the two comes first alternates, because what comes second finds K and V in the cache. The
// dense reference's plan is the context's and not timed. Throws what a stage throws.
RepetitionResult repeat_interleaved(const CellContext& context,
                                    const ResearchAttention& attention,
                                    const PreparationStep& preparation,
                                    std::size_t least);

// The times of the stages, the first one as prepare. result: that names the maskers.
StageTimes summarize_stages(const StageSamples& samples, const CellResult& result);

// The samples as a result keeps them, see StageSeries.
std::vector<StageSeries> series_of(const StageSamples& samples);

// The times of attending by the dense reference alone, repeated likewise.
std::vector<double> repeat_dense(const CellContext& context,
                                 std::size_t least,
                                 std::optional<DeviceTiming>& device_timing);

}  // namespace maskerade
