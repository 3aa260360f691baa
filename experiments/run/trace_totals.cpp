#include "experiments/run/trace_totals.hpp"

#include <algorithm>
#include <utility>

#include "experiments/run/head_densities.hpp"
#include "framework/base/saturate.hpp"

namespace maskerade {
namespace {

std::optional<double> median_of(const std::optional<Summary>& summary) {
  return summary ? std::optional(summary->median) : std::nullopt;
}

// The sum of what is there; nothing where a part is missing.
std::optional<double> plus(const std::optional<double>& a, const std::optional<double>& b) {
  return a && b ? std::optional(*a + *b) : std::nullopt;
}

std::optional<double> over(const std::optional<double>& value, double count) {
  return value ? std::optional(*value / count) : std::nullopt;
}

// The means of medians, interval ends and minima. Where a step has no interval, the mean has none.
template <typename Get>
Summary mean_of(const std::vector<StageTimes>& steps, Get&& get) {
  Summary mean{.lo = 0.0, .hi = 0.0};
  const auto count = static_cast<double>(steps.size());
  for (const StageTimes& step : steps) {
    const Summary& summary = get(step);
    mean.median += summary.median / count;
    mean.lo = plus(mean.lo, over(summary.lo, count));
    mean.hi = plus(mean.hi, over(summary.hi, count));
    mean.min += summary.min / count;
    mean.repetitions += summary.repetitions;
  }
  return mean;
}

}  // namespace

TraceTotals::TraceTotals(const AttentionShape& shape)
    : shape_(shape), head_active_(static_cast<std::size_t>(shape.batch * shape.query_heads)) {
  sparse_.resize(shape);
  dense_.resize(shape);
  for (std::vector<double>* of_rows :
       {&masses_.certain, &masses_.support, &masses_.weighted, &dense_lse_}) {
    of_rows->resize(sparse_.lse.size());
  }
}

template <typename Numbers>
void TraceTotals::place(const Numbers& values, std::int64_t width, Numbers& all) const {
  const auto step = static_cast<std::int64_t>(steps_.size());
  for (std::int64_t head = 0; head < shape_.batch * shape_.query_heads; ++head) {
    std::copy_n(values.begin() + head * width, width,
                all.begin() + (head * shape_.query_len + step) * width);
  }
}

void TraceTotals::add(const CellContext& context, const StepOutcome& outcome) {
  const AttentionShape& shape = context.inputs().shape;
  const AttentionOutput& dense = context.dense.output;
  place(outcome.sparse.out, shape.head_dim, sparse_.out);
  place(outcome.sparse.lse, 1, sparse_.lse);
  place(dense.out, shape.head_dim, dense_.out);
  place(dense.lse, 1, dense_.lse);
  place(outcome.masses.certain, 1, masses_.certain);
  place(outcome.masses.support, 1, masses_.support);
  place(outcome.masses.weighted, 1, masses_.weighted);
  place(context.dense.masses.weighted, 1, dense_lse_);

  const MaskCounts counts = count_whole_problem(outcome.mask, shape);
  counts_.active_entries += counts.active_entries;
  counts_.sampled_entries += counts.sampled_entries;
  counts_.visible_entries += counts.visible_entries;
  counts_.tiles_full += counts.tiles_full;
  counts_.tiles_partial += counts.tiles_partial;
  counts_.tiles_empty += counts.tiles_empty;
  counts_.empty_rows += counts.empty_rows;
  const auto visible = static_cast<double>(shape.key_len);
  const std::vector<double> densities = head_densities(outcome.mask, shape);
  for (std::size_t head = 0; head < densities.size(); ++head) {
    head_active_[head] += densities[head] * visible;
  }
  densities_.insert(densities_.end(), densities.begin(), densities.end());
  visible_ += visible;
  const std::vector<KernelShare> shares = outcome.plan.kernel_shares();
  kernel_shares_.insert(kernel_shares_.end(), shares.begin(), shares.end());

  const Fidelity fidelity =
      compare_outputs(shape, outcome.sparse, dense, outcome.masses, context.dense.masses.weighted);
  const StageTimes& times = outcome.times;
  const CostFacts& cost = outcome.cost;
  steps_.push_back({.step = static_cast<std::int64_t>(steps_.size()),
                    .key_len = shape.key_len,
                    .append_ms = median_of(times.append),
                    .select_ms = median_of(times.select),
                    .plan_ms = median_of(times.plan),
                    .attend_ms = times.attend.median,
                    .dense_ms = times.dense.median,
                    .repetitions = times.repetitions,
                    .density = counts.density,
                    .recall = fidelity.attention_recall,
                    .rel_l2_error = fidelity.rel_l2_error,
                    .keys_scored = cost.keys_scored,
                    .select_bytes_read = cost.select_bytes_read,
                    .index_bytes = cost.index_bytes,
                    .kv_bytes_touched = cost.kv_bytes_touched});
  times_.push_back(times);
  costs_.push_back(cost);
}

StageTimes TraceTotals::times(const std::optional<Summary>& prepare) const {
  const auto optional_mean = [&](std::optional<Summary> StageTimes::*stage) {
    if (!(times_.front().*stage)) return std::optional<Summary>();
    return std::optional(
        mean_of(times_, [&](const StageTimes& step) -> const Summary& { return *(step.*stage); }));
  };
  StageTimes times{
      .prepare = prepare,
      .append = optional_mean(&StageTimes::append),
      .select = optional_mean(&StageTimes::select),
      .select_by_masker = times_.front().select_by_masker,
      .plan = optional_mean(&StageTimes::plan),
      .attend =
          mean_of(times_, [](const StageTimes& step) -> const Summary& { return step.attend; }),
      .total = mean_of(times_, [](const StageTimes& step) -> const Summary& { return step.total; }),
      .dense =
          mean_of(times_, [](const StageTimes& step) -> const Summary& { return step.dense; })};
  times.repetitions = times.attend.repetitions;
  const auto count = static_cast<double>(times_.size());
  if (prepare) {
    times.total.median += prepare->median / count;
    times.total.lo = plus(times.total.lo, over(prepare->lo, count));
    times.total.hi = plus(times.total.hi, over(prepare->hi, count));
    times.total.min += prepare->min / count;
  }
  for (std::size_t i = 0; i < times.select_by_masker.size(); ++i) {
    double sum = 0;
    for (const StageTimes& step : times_) sum += step.select_by_masker[i].second;
    times.select_by_masker[i].second = sum / count;
  }
  return times;
}

CostFacts TraceTotals::costs() const {
  CostFacts mean;
  const auto steps = static_cast<double>(costs_.size());
  for (const CostFacts& cost : costs_) {
    mean.keys_scored = saturating_sum(mean.keys_scored, cost.keys_scored);
    mean.select_bytes_read = saturating_sum(mean.select_bytes_read, cost.select_bytes_read);
    mean.kv_bytes_touched = saturating_sum(mean.kv_bytes_touched, cost.kv_bytes_touched);
    mean.total_bytes = saturating_sum(mean.total_bytes, cost.total_bytes);
    mean.index_spans_future = mean.index_spans_future || cost.index_spans_future;
    mean.required_flops += cost.required_flops / steps;
    mean.required_bytes += cost.required_bytes / steps;
  }
  const auto count = static_cast<std::int64_t>(costs_.size());
  for (std::int64_t* sum :
       {&mean.keys_scored, &mean.select_bytes_read, &mean.kv_bytes_touched, &mean.total_bytes}) {
    *sum /= count;
  }
  mean.index_bytes = costs_.back().index_bytes;
  return mean;
}

void TraceTotals::write(const std::optional<Summary>& prepare, CellResult& result) const {
  result.steps = steps_;
  result.kernel_mix = kernel_mix(kernel_shares_);
  MaskCounts counts = counts_;
  counts.density =
      static_cast<double>(counts.active_entries) / static_cast<double>(counts.visible_entries);
  counts.density_p5 = quantile(densities_, 0.05);
  counts.density_p95 = quantile(densities_, 0.95);
  result.counts = counts;
  result.cost = costs();
  result.times = times(prepare);
  result.fidelity = compare_outputs(shape_, sparse_, dense_, masses_, dense_lse_);
  result.heads.clear();
  for (std::size_t i = 0; i < head_active_.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i);
    result.heads.push_back({.batch = number / shape_.query_heads,
                            .head = number % shape_.query_heads,
                            .density = head_active_[i] / visible_,
                            .recall = result.fidelity->heads[i].attention_recall,
                            .rel_l2_error = result.fidelity->heads[i].rel_l2_error});
  }
}

}  // namespace maskerade
