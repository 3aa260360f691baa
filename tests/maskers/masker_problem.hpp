// Problems for the built maskers, and what is asked of each of them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "experiments/rules/masker_rules.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/tensor_files/safetensors.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/pipeline/report_of.hpp"

namespace maskerade {

struct MaskerProblemOptions {
  bool causal = false;
  unsigned seed = 1;
  DType dtype = DType::kFloat32;
  // Above 0: each key is longer by a log-normal factor of this sigma, heavy-tailed weights.
  double key_spread = 0;
  // Above 1: so many keys that follow each other are equal, and so are their scores.
  std::int64_t equal_keys = 1;
};

// Random q, k, v or those of a file, and the inputs that view them.
class MaskerProblem {
 public:
  explicit MaskerProblem(const AttentionShape& shape, const MaskerProblemOptions& options = {}) {
    rules::ProblemSpec spec{
        .shape = shape, .dtype = options.dtype, .causal = options.causal, .seed = options.seed};
    if (options.key_spread > 0) {
      spec.kind = rules::DataKind::kHeavyKeys;
      spec.key_sigma = options.key_spread;
    }
    if (options.equal_keys > 1) {
      spec.kind = rules::DataKind::kEqualKeys;
      spec.equal_keys = options.equal_keys;
    }
    const rules::RandomProblem problem(spec);
    q_ = problem.q;
    k_ = problem.k;
    v_ = problem.v;
    inputs_ = problem.inputs;
  }
  // The last `queries` of a file's q, without causality.
  MaskerProblem(const std::filesystem::path& file, std::int64_t queries) {
    const SafetensorsFile tensors = SafetensorsFile::open(file);
    q_ = tensors.tensor("q");
    k_ = tensors.tensor("k");
    v_ = tensors.tensor("v");
    TensorView q = q_.view();
    q.data = q.row(0, 0, q.length - queries);
    q.length = queries;
    const TensorView k = k_.view();
    inputs_ = {.shape = {q.batch, q.heads, k.heads, queries, k.length, q.dim},
               .q = q,
               .k = k,
               .v = v_.view(),
               .scale = 1 / std::sqrt(static_cast<float>(q.dim)),
               .visibility = Visibility::all(queries, k.length)};
  }
  const AttentionInputs& inputs() const { return inputs_; }
  const AttentionShape& shape() const { return inputs_.shape; }

  // The float64 logits of a row over its visible keys.
  std::vector<double> logits(std::int64_t batch, std::int64_t head, std::int64_t query) const {
    const std::vector<float> q = row_of(inputs_.q, batch, head, query);
    std::vector<double> logits;
    for (std::int64_t key = 0; key < inputs_.visibility.end(query); ++key) {
      const std::vector<float> k = row_of(inputs_.k, batch, shape().kv_head_of(head), key);
      double sum = 0;
      for (std::size_t d = 0; d < q.size(); ++d) sum += double{q[d]} * k[d];
      logits.push_back(double{inputs_.scale} * sum);
    }
    return logits;
  }
  static std::vector<float> row_of(const TensorView& tensor,
                                   std::int64_t batch,
                                   std::int64_t head,
                                   std::int64_t index) {
    std::vector<float> row(static_cast<std::size_t>(tensor.dim));
    tensor.load_row(batch, head, index, row.data());
    return row;
  }

 private:
  Tensor q_;
  Tensor k_;
  Tensor v_;
  AttentionInputs inputs_{.visibility = Visibility::all(1, 1)};
};

// A built masker with its arguments by name.
using NamedArguments = std::vector<std::pair<std::string, std::string>>;
inline MaskerUse use(const std::string& id, const NamedArguments& given = {}) {
  static const Catalog catalog = [] {
    Catalog built;
    built.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
    return built;
  }();
  const auto type = catalog.find(id);
  std::vector<GivenParameter> parameters;
  for (const auto& [name, value] : given) parameters.push_back({name, {value}});
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), parameters))};
}

inline Selection run(const std::vector<MaskerUse>& maskers,
                     const MaskerProblem& problem,
                     const PipelineOptions& options = {},
                     int threads = 1) {
  const Threads workers(threads);
  return Pipeline(maskers).prepare(problem.inputs(), options, workers).select(workers);
}

// The text of the error that a masker's arguments or the making of it give; "" when they give none.
inline std::string error_of(const std::string& id, const NamedArguments& given) {
  try {
    run({use(id, given)}, MaskerProblem({1, 1, 1, 1, 8, 4}));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// The list of maskers keeps every rule of a selection (experiments/rules/masker_rules.hpp): the
// mask holds visible entries alone, keeps what is active before, is the same again and with any
// number of threads and chunk size, and remembers no other data; and nothing that the last masker
// does not declare has an influence on what it selects alone.
inline void expect_selection_rules(const std::vector<MaskerUse>& maskers,
                                   const MaskerProblem& problem) {
  const rules::Selector select = rules::selector_of(Pipeline(maskers));
  const AttentionShape& shape = problem.shape();
  const rules::SelectionRequest request{.inputs = problem.inputs(), .options = {.seed = 3}};
  const MaskerProblem other_problem(shape, {.causal = problem.inputs().visibility.is_causal(),
                                            .seed = 99,
                                            .dtype = problem.inputs().q.dtype});
  rules::SelectionRequest other = request;
  other.inputs = other_problem.inputs();
  const Mask previous = rules::random_mask(problem.inputs().visibility,
                                           {shape.batch, shape.query_heads}, {.tiles = 0.1}, 4);
  rules::SelectionRequest from_previous = request;
  from_previous.previous = &previous;
  EXPECT_TRUE(rules::holds(rules::check_visible_entries_alone(select, request)));
  EXPECT_TRUE(rules::holds(rules::check_selection_keeps_previous(select, from_previous)));
  EXPECT_TRUE(rules::holds(rules::check_selection_is_repeatable(select, request)));
  EXPECT_TRUE(rules::holds(rules::check_nothing_is_kept(select, request, other)));
  const MaskerUse& last = maskers.back();
  EXPECT_TRUE(rules::holds(rules::check_undeclared_inputs_do_not_matter(
      rules::selector_of(Pipeline({last})), request, last.type->descriptor().depends_on)));
}

inline AttentionOutput attend_to(const Mask& mask, const MaskerProblem& problem, Walk kernel) {
  const Threads threads(1);
  AttentionOutput output;
  attend(problem.inputs(), make_cpu_plan(mask, problem.shape(), kernel, threads), threads, output);
  return output;
}

// The rows and tiles kernels over a mask give what dense attention gives, within 1e-6 of its
// largest value.
inline void expect_dense_attention(const Mask& mask, const MaskerProblem& problem) {
  const AttentionOutput dense =
      attend_to(Mask::full(problem.inputs().visibility), problem, Walk::kDense);
  for (const Walk kernel : {Walk::kRows, Walk::kTiles}) {
    const AttentionOutput sparse = attend_to(mask, problem, kernel);
    double largest = 0;
    double difference = 0;
    for (std::size_t i = 0; i < dense.out.size(); ++i) {
      largest = std::max(largest, std::abs(double{dense.out[i]}));
      difference = std::max(difference, std::abs(double{dense.out[i]} - double{sparse.out[i]}));
    }
    EXPECT_LE(difference, 1e-6 * largest) << name_of(kernel);
  }
}

}  // namespace maskerade
