#include "attention/cpu/cpu_backend.hpp"

#include <utility>

#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

class CpuMask final : public SelectedMask {
 public:
  explicit CpuMask(Selection selection) : selection_(std::move(selection)) {}
  const Mask& on_host() const override { return selection_.mask; }
  bool is_intact() const override { return true; }
  std::vector<MaskerReport> maskers() const override { return selection_.maskers; }

 private:
  Selection selection_;
};

class CpuSelection final : public PreparedSelection {
 public:
  CpuSelection(PreparedPipeline prepared, const Threads& threads)
      : prepared_(std::move(prepared)), threads_(threads) {}
  std::string device() const override { return ""; }
  bool waits_for_host() const override { return true; }
  std::unique_ptr<SelectedMask> select() override {
    return std::make_unique<CpuMask>(prepared_.select(threads_));
  }
  void append(const AttentionInputs& inputs) override { prepared_.append(inputs, threads_); }
  void truncate(const AttentionInputs& inputs) override { prepared_.truncate(inputs, threads_); }

 private:
  PreparedPipeline prepared_;
  Threads threads_;
};

void check_host_inputs(const AttentionInputs& inputs) {
  for (const TensorView* tensor : {&inputs.q, &inputs.k, &inputs.v}) {
    if (tensor->memory == MemorySpace::kHost) continue;
    throw UnavailableError(
        "q, k or v lies in the memory of a device, which the cpu backend cannot read; copy it to "
        "the host, or use the backend of that device");
  }
}

}  // namespace

CpuBackend::CpuBackend(const AttentionInputs& inputs, CostModel costs, const Threads& threads)
    : inputs_(inputs), costs_(std::move(costs)), threads_(threads) {
  inputs_.validate();
  check_host_inputs(inputs_);
}

void CpuBackend::show(const AttentionInputs& inputs) {
  check_same_sequence(inputs_, inputs);
  check_host_inputs(inputs);
  inputs_ = inputs;
}

std::unique_ptr<PreparedSelection> CpuBackend::prepare(const LoadedPipeline& loaded) {
  return std::make_unique<CpuSelection>(loaded.prepare(inputs_, threads_), threads_);
}

std::unique_ptr<SelectedMask> CpuBackend::take(Mask mask) {
  check_fit(mask, inputs_.shape);
  return std::make_unique<CpuMask>(Selection{std::move(mask), {}});
}

void CpuBackend::fetch(const Plan&, AttentionOutput&) {}

AttentionWeights CpuBackend::weigh(const SelectedMask& mask) {
  return weigh_on_host(inputs_, mask.on_host(), threads_);
}

StageTime CpuBackend::time(Stage, const Timing&, const std::function<void()>& work) {
  const Stopwatch stopwatch;
  work();
  return {.ms = stopwatch.elapsed_ms(), .launch_ms = {}};
}

}  // namespace maskerade
