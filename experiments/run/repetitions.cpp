#include "experiments/run/repetitions.hpp"

#include <cmath>
#include <utility>

#include "experiments/measure/stopping_rule.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

Timing timing_of(const MeasureSpec& measure) {
  return {.is_warm = measure.is_warm, .uses_graph = measure.uses_graph, .waits_for_host = false};
}

// Follows what the clocks of a backend's device do while a cell is repeated.
class ClockWatch {
 public:
  explicit ClockWatch(const CellContext& context) : pci_bus_id_(context.backend.pci_bus_id()) {
    if (pci_bus_id_.empty()) return;
    timing_.emplace();
    timing_->cache = context.measure.is_warm ? "warm" : "cold";
    timing_->before = read_device_clocks(pci_bus_id_);
  }
  // How the device was timed; nullopt for the CPU.
  std::optional<DeviceTiming> finish(const std::vector<double>& launch_ms) {
    if (!timing_) return std::nullopt;
    timing_->after = read_device_clocks(pci_bus_id_);
    if (!launch_ms.empty()) timing_->launch_ms = summarize(launch_ms).median;
    return timing_;
  }

 private:
  std::string pci_bus_id_;
  std::optional<DeviceTiming> timing_;
};

// The repetitions of one cell.
class Repetitions {
 public:
  Repetitions(const CellContext& context,
              const ResearchAttention& attention,
              const PreparationStep& preparation)
      : context_(context), attention_(attention), preparation_(preparation) {}

  // One repetition; its times go into samples.
  void run_once(bool is_dense_first, StageSamples& samples) {
    if (is_dense_first) run_dense(samples);
    PipelinePass pass = run_pipeline(context_, attention_, preparation_.run, sparse_);
    if (!is_dense_first) run_dense(samples);
    preparation_.undo();
    samples.prepare.push_back(pass.prepare_ms);
    samples.select.push_back(pass.select_ms);
    samples.plan.push_back(pass.plan_ms);
    samples.attend.push_back(pass.attend.ms);
    samples.total.push_back(pass.total_ms());
    if (pass.attend.launch_ms) samples.launch.push_back(*pass.attend.launch_ms);
    const std::vector<MaskerReport> maskers = pass.selected->maskers();
    samples.select_by_masker.resize(maskers.size());
    for (std::size_t i = 0; i < maskers.size(); ++i) {
      samples.select_by_masker[i].push_back(maskers[i].select_ms);
    }
    if (result_.selected) {
      result_.same_mask =
          result_.same_mask && pass.selected->on_host() == result_.selected->on_host();
    }
    result_.selection_device = std::move(pass.selection_device);
    result_.planned = std::move(pass.planned);
    result_.selected = std::move(pass.selected);
  }

  // After the last repetition. A device gives its output once more: the dense reference may have
  // overwritten it.
  RepetitionResult finish() {
    if (context_.backend.attends_on_host()) {
      result_.output = std::move(sparse_);
    } else {
      attend_once(context_.backend, result_.planned, result_.output);
    }
    return std::move(result_);
  }

  RepetitionResult& result() { return result_; }

 private:
  void run_dense(StageSamples& samples) {
    samples.dense.push_back(
        context_.backend
            .time(Stage::kAttend, timing_of(context_.measure),
                  [&] { context_.dense.planned.attend(context_.backend, dense_); })
            .ms);
  }

  const CellContext& context_;
  const ResearchAttention& attention_;
  const PreparationStep& preparation_;
  // Apart, so that a kernel that leaves rows out does not show the other's.
  AttentionOutput sparse_;
  AttentionOutput dense_;
  RepetitionResult result_;
};

}  // namespace

PipelinePass run_pipeline(const CellContext& context,
                          const ResearchAttention& attention,
                          const std::function<PreparedSelection&()>& prepare,
                          AttentionOutput& output) {
  Backend& backend = context.backend;
  Timing timing = timing_of(context.measure);
  PipelinePass pass;
  PreparedSelection* prepared = nullptr;
  pass.prepare_ms = backend.time(Stage::kPrepare, timing, [&] { prepared = &prepare(); }).ms;
  pass.selection_device = prepared->device();
  timing.waits_for_host = prepared->waits_for_host();
  pass.select_ms =
      backend.time(Stage::kSelect, timing, [&] { pass.selected = prepared->select(); }).ms;
  timing.waits_for_host = false;
  pass.selected->on_host();  // before anything else can touch it, see SelectedMask::is_intact
  const Kernel& kernel = attention.kernel(backend, *pass.selected);
  pass.plan_ms = backend
                     .time(Stage::kPlan, timing,
                           [&] { pass.planned = plan_with(kernel, backend, *pass.selected); })
                     .ms;
  pass.attend = backend.time(Stage::kAttend, timing, [&] { pass.planned.attend(backend, output); });
  return pass;
}

RepetitionResult repeat_interleaved(const CellContext& context,
                                    const ResearchAttention& attention,
                                    const PreparationStep& preparation,
                                    std::size_t least) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms, least);
  Repetitions repetitions(context, attention, preparation);
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    StageSamples unused;
    repetitions.run_once(true, unused);
  }
  ClockWatch watch(context);
  StageSamples& samples = repetitions.result().samples;
  while (!rule.is_done(elapsed.elapsed_ms())) {
    check_stopped(context.options);
    repetitions.run_once(samples.total.size() % 2 == 1, samples);
    rule.add(samples.total.back(), samples.dense.back());
  }
  repetitions.result().device_timing = watch.finish(samples.launch);
  return repetitions.finish();
}

StageTimes summarize_stages(const StageSamples& samples, const CellResult& result) {
  StageTimes times{.prepare = summarize(samples.prepare),
                   .select = summarize(samples.select),
                   .select_by_masker = {},
                   .plan = summarize(samples.plan),
                   .attend = summarize(samples.attend),
                   .total = summarize(samples.total),
                   .dense = summarize(samples.dense),
                   .repetitions = static_cast<std::int64_t>(samples.total.size())};
  for (std::size_t i = 0; i < samples.select_by_masker.size(); ++i) {
    times.select_by_masker.emplace_back(result.params.at(i).first,
                                        summarize(samples.select_by_masker[i]).median);
  }
  return times;
}

std::vector<StageSeries> series_of(const StageSamples& samples) {
  std::vector<StageSeries> all;
  const auto add = [&](const char* stage, const std::vector<double>& times_ms) {
    if (times_ms.empty()) return;
    // Odd, so that repetitions with the dense reference first and second are kept alike.
    const std::size_t stride = ((times_ms.size() + kMostSamples - 1) / kMostSamples) | 1;
    StageSeries& series =
        all.emplace_back(StageSeries{.stage = stage, .stride = static_cast<std::int64_t>(stride)});
    for (std::size_t i = 0; i < times_ms.size(); i += stride)
      series.times_ms.push_back(std::round(times_ms[i] * 1e6) / 1e6);
  };
  add("attend", samples.attend);
  add("dense", samples.dense);
  add("plan", samples.plan);
  add("prepare", samples.prepare);
  add("select", samples.select);
  add("total", samples.total);
  return all;
}

std::vector<double> repeat_dense(const CellContext& context,
                                 std::size_t least,
                                 std::optional<DeviceTiming>& device_timing) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms, least);
  AttentionOutput output;
  std::vector<double> launch_ms;
  const auto run = [&] {
    return context.backend.time(Stage::kAttend, timing_of(context.measure),
                                [&] { context.dense.planned.attend(context.backend, output); });
  };
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) run();
  ClockWatch watch(context);
  while (!rule.is_done(elapsed.elapsed_ms())) {
    check_stopped(context.options);
    const StageTime time = run();
    rule.add(time.ms, time.ms);
    if (time.launch_ms) launch_ms.push_back(*time.launch_ms);
  }
  device_timing = watch.finish(launch_ms);
  return rule.dense_ms();
}

}  // namespace maskerade
