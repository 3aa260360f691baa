#include "experiments/run/repetitions.hpp"

#include <optional>
#include <utility>

#include "attention/cpu/attend.hpp"
#include "experiments/measure/stopping_rule.hpp"

namespace maskerade {
namespace {

// One repetition; its times go into samples.
void repeat_once(const CellContext& context,
                 const ResearchAttention& attention,
                 const Readying& readying,
                 bool is_dense_first,
                 Repeated& repeated,
                 StageSamples& samples) {
  const AttentionInputs& inputs = context.inputs;
  const Threads& threads = context.options.threads;
  const PreparedPipeline* prepared = nullptr;
  std::optional<Selection> selection;
  std::optional<Plan> plan;
  const auto run_dense = [&] {
    samples.dense.push_back(
        time_ms([&] { attend(inputs, context.dense.plan, threads, repeated.dense); }));
  };
  if (is_dense_first) run_dense();
  const double ready_ms = time_ms([&] { prepared = &readying.make(); });
  const double select_ms = time_ms([&] { selection.emplace(prepared->select(threads)); });
  const double plan_ms =
      time_ms([&] { plan.emplace(attention.plan(selection->mask, inputs, threads)); });
  const double attend_ms = time_ms([&] { attend(inputs, *plan, threads, repeated.sparse); });
  if (!is_dense_first) run_dense();
  readying.undo();
  samples.ready.push_back(ready_ms);
  samples.select.push_back(select_ms);
  samples.plan.push_back(plan_ms);
  samples.attend.push_back(attend_ms);
  samples.total.push_back(ready_ms + select_ms + plan_ms + attend_ms);
  samples.select_by_masker.resize(selection->maskers.size());
  for (std::size_t i = 0; i < selection->maskers.size(); ++i) {
    samples.select_by_masker[i].push_back(selection->maskers[i].select_ms);
  }
  repeated.selection = std::move(*selection);
  repeated.plan = std::move(*plan);
}

}  // namespace

Repeated repeat_interleaved(const CellContext& context,
                            const ResearchAttention& attention,
                            const Readying& readying,
                            std::size_t least) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms, least);
  Repeated repeated{.samples = {},
                    .selection = {Mask::empty(context.inputs.visibility), {}},
                    .plan = {},
                    .sparse = {},
                    .dense = {}};
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    StageSamples unused;
    repeat_once(context, attention, readying, true, repeated, unused);
  }
  StageSamples& samples = repeated.samples;
  while (!rule.is_done(elapsed.elapsed_ms())) {
    const bool is_dense_first = samples.total.size() % 2 == 1;
    const Mask before = std::move(repeated.selection.mask);
    repeat_once(context, attention, readying, is_dense_first, repeated, samples);
    rule.add(samples.total.back(), samples.dense.back());
    repeated.same_mask = repeated.same_mask && repeated.selection.mask == before;
  }
  return repeated;
}

StageTimes summarize_stages(const StageSamples& samples, const CellResult& result) {
  StageTimes times{.prepare = summarize(samples.ready),
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

std::vector<double> repeat_dense(const CellContext& context,
                                 std::size_t least,
                                 AttentionOutput& output) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms, least);
  const auto run = [&] {
    attend(context.inputs, context.dense.plan, context.options.threads, output);
  };
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) run();
  while (!rule.is_done(elapsed.elapsed_ms())) {
    const double ms = time_ms(run);
    rule.add(ms, ms);
  }
  return rule.dense_ms();
}

}  // namespace maskerade
