#include "experiments/stress/stress_cell.hpp"

#include <fmt/format.h>

#include <cmath>

#include "experiments/sources/gaussian.hpp"

namespace maskerade::stress {
namespace {

Tensor gaussian(const rules::ProblemSpec& spec, GaussianTensor tensor) {
  const AttentionShape& shape = spec.shape;
  const bool is_query = tensor == GaussianTensor::kQuery;
  return gaussian_tensor(spec.seed, tensor, spec.dtype, shape.batch,
                         is_query ? shape.query_heads : shape.kv_heads,
                         is_query ? shape.query_len : shape.key_len, shape.head_dim);
}

std::string values_text(const GivenParameter& parameter) {
  if (!parameter.is_list) return parameter.values.front();
  std::string text;
  for (const std::string& value : parameter.values) text += (text.empty() ? "" : ", ") + value;
  return "[" + text + "]";
}

MaskerUse use_of(const std::shared_ptr<const MaskerType>& type,
                 const std::vector<GivenParameter>& given) {
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), given))};
}

}  // namespace

MaskerUse GivenMasker::use() const { return use_of(type, given); }

MaskerUse GivenMasker::reference_use() const { return use_of(reference, given); }

std::string GivenMasker::to_yaml() const {
  if (given.empty()) return type->id();
  std::string text;
  for (const GivenParameter& parameter : given) {
    text +=
        fmt::format("{}{}: {}", text.empty() ? "" : ", ", parameter.name, values_text(parameter));
  }
  return fmt::format("{{{}: {{{}}}}}", type->id(), text);
}

StressCell StressCell::first_maskers(std::size_t count) const {
  StressCell cell = *this;
  cell.maskers.resize(count);
  return cell;
}

std::vector<MaskerUse> StressCell::uses() const {
  std::vector<MaskerUse> uses;
  for (const GivenMasker& masker : maskers) uses.push_back(masker.use());
  return uses;
}

std::string to_string(const StressCell& cell) {
  std::string pipeline;
  for (const GivenMasker& masker : cell.maskers) {
    pipeline += (pipeline.empty() ? "" : ", ") + masker.to_yaml();
  }
  const std::string previous = cell.has_previous() ? fmt::format(", from a previous mask ({})",
                                                                 rules::name_of(cell.previous))
                                                   : "";
  return fmt::format("[{}] on {}{}, mask seed {}, {} thread{}, chunks of {} rows{}", pipeline,
                     rules::to_string(cell.problem), previous, cell.mask_seed, cell.threads,
                     cell.threads == 1 ? "" : "s", cell.chunk_rows,
                     cell.device == "cpu" ? "" : ", on " + cell.device);
}

StressProblem::StressProblem(const rules::ProblemSpec& spec)
    : inputs{.visibility = Visibility::all(1, 1)} {
  if (spec.kind == rules::DataKind::kNormal) {
    q = gaussian(spec, GaussianTensor::kQuery);
    k = gaussian(spec, GaussianTensor::kKey);
    v = gaussian(spec, GaussianTensor::kValue);
    const AttentionShape& shape = spec.shape;
    inputs = {.shape = shape,
              .q = q.view(),
              .k = k.view(),
              .v = v.view(),
              .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
              .visibility = spec.causal ? Visibility::causal(shape.query_len, shape.key_len)
                                        : Visibility::all(shape.query_len, shape.key_len),
              .layer = spec.layer};
    return;
  }
  const rules::RandomProblem problem(spec);
  q = problem.q;
  k = problem.k;
  v = problem.v;
  inputs = problem.inputs;
}

Mask previous_mask(const StressCell& cell, const AttentionInputs& inputs) {
  return rules::previous_mask(cell.previous, inputs.visibility,
                              {inputs.shape.batch, inputs.shape.query_heads}, cell.problem.seed);
}

}  // namespace maskerade::stress
