#include "experiments/benchmarks/attention_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/matrix_arithmetic.hpp"
#include "attention/reference/row_judgement.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "framework/base/error.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kCheckedRows = 12;  // rows of the sample that checks look at

// Throws Error where the output differs from the oracle in a sample of rows.
void check_output(const AttentionInputs& inputs,
                  const Mask& mask,
                  const AttentionOutput& output,
                  const Threads& threads) {
  const OracleComparison compared =
      compare_with_oracle(inputs, mask, output, oracle_sample(inputs.shape, kCheckedRows),
                          base_allowance(DType::kFloat32), threads);
  require(compared.quotient <= 1 && compared.undecidable_rows == 0,
          fmt::format("the output differs from the oracle by {:.3g} in {}, where {:.3g} is allowed",
                      compared.worst_error, describe_row(inputs.shape, compared.worst_row),
                      compared.worst_allowance));
}

// The least work of attention over a mask. Of K and V it counts what the plan touches, at most
// once.
WorkCounts attention_counts(const AttentionInputs& inputs, const Mask& mask, const CpuPlan& plan) {
  const AttentionShape& shape = inputs.shape;
  const auto element = static_cast<double>(size_of(inputs.q.dtype));
  const double queries = static_cast<double>(shape.rows() * shape.head_dim);
  const double keys_and_values =
      2 * element *
      static_cast<double>(shape.batch * shape.kv_heads * shape.key_len * shape.head_dim);
  return {.flops = 4 * static_cast<double>(shape.head_dim) * active_pairs(mask, shape),
          .matrix_products = matrix_products(inputs.k.dtype, shape.head_dim),
          .bytes =
              queries * (element + sizeof(float)) +
              std::min(keys_and_values, static_cast<double>(plan.kv_bytes_touched(inputs.k.dtype))),
          .density = density(mask)};
}

CpuPlan plan_for(const Mask& mask,
                 const AttentionInputs& inputs,
                 std::optional<Walk> kernel,
                 const Threads& threads) {
  return make_cpu_plan(mask, inputs.shape, kernel, inputs.k.dtype, CostModel::defaults(), threads);
}

class AttendWork final : public BenchmarkWork {
 public:
  AttendWork(std::shared_ptr<const AttentionProblem> problem,
             Mask mask,
             std::optional<Walk> kernel,
             const Threads& threads)
      : problem_(std::move(problem)),
        mask_(std::move(mask)),
        plan_(plan_for(mask_, problem_->inputs, kernel, threads)),
        threads_(threads) {}

  void run() override { attend(problem_->inputs, plan_, threads_, output_); }
  void check() const override { check_output(problem_->inputs, mask_, output_, threads_); }
  WorkCounts counts() const override { return attention_counts(problem_->inputs, mask_, plan_); }

 private:
  std::shared_ptr<const AttentionProblem> problem_;
  Mask mask_;
  CpuPlan plan_;
  Threads threads_;
  AttentionOutput output_;
};

class PipelineWork final : public BenchmarkWork {
 public:
  PipelineWork(std::shared_ptr<const AttentionProblem> problem,
               const Pipeline& pipeline,
               RowRule rule,
               TimedStage stage,
               const Threads& threads)
      : problem_(std::move(problem)),
        prepared_(pipeline.prepare(problem_->inputs, {}, threads)),
        rule_(std::move(rule)),
        stage_(stage),
        threads_(threads),
        mask_(Mask::empty(problem_->inputs.visibility)) {
    if (stage != TimedStage::kSelect && stage != TimedStage::kAll) select();
    if (stage == TimedStage::kAttend) plan();
  }

  void run() override {
    if (stage_ == TimedStage::kSelect || stage_ == TimedStage::kAll) select();
    if (stage_ == TimedStage::kPlan || stage_ == TimedStage::kAll) plan();
    if (stage_ == TimedStage::kAttend || stage_ == TimedStage::kAll) {
      attend(problem_->inputs, plan_, threads_, output_);
    }
  }

  void check() const override {
    const AttentionInputs& inputs = problem_->inputs;
    check_rows(mask_, inputs, rule_);
    if (stage_ == TimedStage::kSelect) return;
    if (stage_ == TimedStage::kPlan) {
      AttentionOutput output;
      attend(inputs, plan_, threads_, output);
      check_output(inputs, mask_, output, threads_);
    } else {
      check_output(inputs, mask_, output_, threads_);
    }
  }

  WorkCounts counts() const override {
    if (stage_ == TimedStage::kAttend) return attention_counts(problem_->inputs, mask_, plan_);
    return {.density = density(mask_)};
  }

 private:
  void select() { mask_ = prepared_.select(threads_).mask; }
  void plan() { plan_ = plan_for(mask_, problem_->inputs, std::nullopt, threads_); }

  std::shared_ptr<const AttentionProblem> problem_;
  PreparedPipeline prepared_;
  RowRule rule_;
  TimedStage stage_;
  Threads threads_;
  Mask mask_;
  CpuPlan plan_;
  AttentionOutput output_;
};

}  // namespace

void require(bool holds, const std::string& what) {
  if (!holds) throw Error(what);
}

std::string_view name_of(TimedStage stage) noexcept {
  switch (stage) {
    case TimedStage::kSelect:
      return "select";
    case TimedStage::kPlan:
      return "plan";
    case TimedStage::kAttend:
      return "attend";
    case TimedStage::kAll:
      break;
  }
  return "all";
}

std::unique_ptr<BenchmarkWork> attend_work(std::shared_ptr<const AttentionProblem> problem,
                                           Mask mask,
                                           std::optional<Walk> kernel,
                                           const Threads& threads) {
  return std::make_unique<AttendWork>(std::move(problem), std::move(mask), kernel, threads);
}

std::unique_ptr<BenchmarkWork> pipeline_work(std::shared_ptr<const AttentionProblem> problem,
                                             Pipeline pipeline,
                                             RowRule rule,
                                             TimedStage stage,
                                             const Threads& threads) {
  return std::make_unique<PipelineWork>(std::move(problem), pipeline, std::move(rule), stage,
                                        threads);
}

void check_rows(const Mask& mask, const AttentionInputs& inputs, const RowRule& rule) {
  const AttentionShape& shape = inputs.shape;
  for (const std::int64_t row : oracle_sample(shape, kCheckedRows)) {
    const std::int64_t query = row % shape.query_len;
    const std::int64_t head = row / shape.query_len % shape.query_heads;
    const std::int64_t batch = row / shape.query_len / shape.query_heads;
    const std::vector<bool> active = rule(inputs, batch, head, query);
    for (std::int64_t key = 0; key < shape.key_len; ++key) {
      const float probability = mask.probability(
          mask.extent_batch(batch), mask.extent_head(head, shape.query_heads), query, key);
      require(probability == (active[static_cast<std::size_t>(key)] ? 1.0F : 0.0F),
              fmt::format("key {} of {} is {}active", key, describe_row(shape, row),
                          probability > 0 ? "" : "in"));
    }
  }
}

MaskerUse use_masker(const Catalog& maskers,
                     const std::string& id,
                     const std::vector<ParameterText>& parameters) {
  const auto type = maskers.find(id);
  if (type == nullptr) {
    throw Error("there is no masker \"" + id + "\" in the folder plugins beside the program");
  }
  std::vector<GivenParameter> given;
  for (const ParameterText& parameter : parameters) {
    given.push_back({.name = parameter.name, .values = {parameter.value}});
  }
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), given))};
}

RowRule sink_and_window(std::int64_t sink, std::int64_t window) {
  return sink_window_and_top(sink, window, 0);
}

RowRule sink_window_and_top(std::int64_t sink, std::int64_t window, std::int64_t budget) {
  return [=](const AttentionInputs& inputs, std::int64_t batch, std::int64_t head,
             std::int64_t query) {
    const AttentionShape& shape = inputs.shape;
    const std::int64_t end = inputs.visibility.end(query);
    const std::int64_t position = inputs.visibility.position(query);
    std::vector<bool> active(static_cast<std::size_t>(shape.key_len));
    // (-score, key): in ascending order the highest score comes first, then the lower key.
    std::vector<std::pair<float, std::int64_t>> others;
    std::vector<float> q(static_cast<std::size_t>(shape.head_dim));
    std::vector<float> k(q.size());
    inputs.q.load_row(batch, head, query, q.data());
    for (std::int64_t key = 0; key < end; ++key) {
      if (key < sink || (key > position - window && key <= position)) {
        active[static_cast<std::size_t>(key)] = true;
      } else if (budget > 0) {
        inputs.k.load_row(batch, shape.kv_head_of(head), key, k.data());
        float score = 0;
        for (std::size_t d = 0; d < q.size(); ++d) score = std::fma(q[d], k[d], score);
        others.emplace_back(-score, key);
      }
    }
    std::sort(others.begin(), others.end());
    others.resize(std::min(others.size(), static_cast<std::size_t>(budget)));
    for (const auto& [score, key] : others) active[static_cast<std::size_t>(key)] = true;
    return active;
  };
}

double active_pairs(const Mask& mask, const AttentionShape& shape) {
  const MaskExtent extent = mask.extent();
  return static_cast<double>(count(mask).active_entries) *
         static_cast<double>(shape.batch * shape.query_heads) /
         static_cast<double>(extent.batch * extent.heads);
}

}  // namespace maskerade
