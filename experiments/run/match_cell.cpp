#include "experiments/run/match_cell.hpp"

#include <exception>
#include <memory>

#include "experiments/match/parameter_range.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

constexpr double kProbeTarget = 0.05;  // relative half-width of a total_ms probe's interval
constexpr double kProbeBudget = 0.1;   // of the cell's time budget

// The median over repetitions of the sum of all stages, timed as those of the cell are.
double total_ms(const CellContext& context,
                const ResearchAttention& attention,
                const LoadedPipeline& loaded,
                const Preparation& prepare) {
  AttentionOutput output;
  std::unique_ptr<PreparedSelection> prepared;
  const auto run = [&] {
    return run_pipeline(
               context, attention,
               [&]() -> PreparedSelection& {
                 prepared = prepare(loaded);
                 return *prepared;
               },
               output)
        .total_ms();
  };
  const Stopwatch probe;
  StoppingRule rule(kProbeTarget, kProbeBudget * context.measure.budget_ms);
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) run();
  while (!rule.is_done(probe.elapsed_ms())) {
    check_stopped(context.options);
    const double ms = run();
    rule.add(ms, ms);
  }
  return summarize(rule.sparse_ms()).median;
}

double measure_quantity(const CellContext& context,
                        const ResearchAttention& attention,
                        PreparedSelection& prepared,
                        MatchQuantity quantity) {
  const AttentionInputs& inputs = context.inputs();
  const std::unique_ptr<SelectedMask> selected = prepared.select();
  const Mask& mask = selected->on_host();
  if (quantity == MatchQuantity::kDensity) {
    return count_whole_problem(mask, inputs.shape).density;
  }
  const KernelPlan planned = attention.plan(context.backend, *selected);
  if (quantity == MatchQuantity::kTotalBytes) {
    return static_cast<double>(
        cost_of(selected->maskers(), *planned.plan, inputs.shape, context.dtype).total_bytes);
  }
  AttentionOutput output;
  attend_once(context.backend, planned, output);
  const Fidelity fidelity = compare_outputs(inputs.shape, output, context.dense.output,
                                            row_masses(inputs, mask, context.options.threads),
                                            context.dense.masses.weighted);
  return quantity == MatchQuantity::kRelL2Error ? fidelity.rel_l2_error : fidelity.attention_recall;
}

}  // namespace

ResearchAttention match_cell(const CellContext& context,
                             const ResearchAttention& attention,
                             const PipelineOptions& options,
                             const Preparation& prepare,
                             const MatchSpec& match,
                             CellResult& result) {
  const Pipeline& pipeline = attention.pipeline();
  if (pipeline.maskers().empty()) return attention;
  const maskerade_masker_descriptor& masker = pipeline.maskers()[match.masker].type->descriptor();
  const Arguments& given = *pipeline.maskers()[match.masker].arguments;
  const ParameterRange range(masker.parameters[match.parameter],
                             given.view()[match.parameter].values[0],
                             context.inputs().shape.key_len);
  const auto attention_at = [&](std::int64_t step) {
    std::vector<MaskerUse> rebound = pipeline.maskers();
    rebound[match.masker].arguments = std::make_shared<const Arguments>(
        rebind_argument(masker, given, match.parameter, range.text(step)));
    return attention.with(Pipeline(std::move(rebound), pipeline.routes()));
  };
  const Stopwatch stopwatch;
  std::exception_ptr refusal;
  const auto probe = [&](std::int64_t step) -> std::optional<double> {
    check_stopped(context.options);
    const ResearchAttention probed = attention_at(step);
    std::optional<LoadedPipeline> loaded;
    std::unique_ptr<PreparedSelection> prepared;
    try {
      loaded = probed.load(context.backend, options);
      prepared = prepare(*loaded);
    } catch (const PluginError&) {
      refusal = std::current_exception();
      return std::nullopt;
    }
    refusal = nullptr;
    return match.quantity == MatchQuantity::kTotalMs
               ? total_ms(context, probed, *loaded, prepare)
               : measure_quantity(context, probed, *prepared, match.quantity);
  };
  SearchResult found;
  try {
    found = search(range.steps(), match.target, match.tolerance, probe);
  } catch (const Error&) {
    if (refusal) std::rethrow_exception(refusal);
    throw;
  }
  result.match->found = MatchOutcome{.value = range.text(found.step),
                                     .reached = found.reached,
                                     .least = found.least,
                                     .greatest = found.greatest,
                                     .probes = found.probes,
                                     .search_ms = stopwatch.elapsed_ms(),
                                     .status = found.status};
  ResearchAttention matched = attention_at(found.step);
  result.params[match.masker].second =
      matched.pipeline().maskers()[match.masker].arguments->resolved();
  return matched;
}

}  // namespace maskerade
