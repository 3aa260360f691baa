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
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {

struct MaskerProblemOptions {
  bool causal = false;
  unsigned seed = 1;
  DType dtype = DType::kFloat32;
  // Each key is as much longer as a log-normal number of this sigma: heavy-tailed weights.
  double key_spread = 0;
};

// q, k, v of normal numbers or of a file, and the inputs that view them.
class MaskerProblem {
 public:
  explicit MaskerProblem(const AttentionShape& shape, const MaskerProblemOptions& options = {}) {
    std::mt19937 engine(options.seed);
    q_ = random(engine, shape.batch, shape.query_heads, shape.query_len, shape.head_dim, 0,
                options.dtype);
    k_ = random(engine, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim,
                options.key_spread, options.dtype);
    v_ = random(engine, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim, 0,
                options.dtype);
    view(shape, q_.view(), options.causal);
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
    view({q.batch, q.heads, k_.view().heads, queries, k_.view().length, q.dim}, q, false);
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
  static Tensor random(std::mt19937& engine,
                       std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim,
                       double spread,
                       DType dtype) {
    std::normal_distribution<double> normal;
    std::vector<float> values;
    for (std::int64_t row = 0; row < batch * heads * length; ++row) {
      const double factor = spread > 0 ? std::exp(spread * normal(engine)) : 1;
      for (std::int64_t d = 0; d < dim; ++d) {
        values.push_back(static_cast<float>(factor * normal(engine)));
      }
    }
    return Tensor::from_floats(dtype, batch, heads, length, dim, values.data());
  }
  void view(const AttentionShape& shape, const TensorView& q, bool causal) {
    inputs_ = {.shape = shape,
               .q = q,
               .k = k_.view(),
               .v = v_.view(),
               .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
               .visibility = causal ? Visibility::causal(shape.query_len, shape.key_len)
                                    : Visibility::all(shape.query_len, shape.key_len)};
  }

  Tensor q_;
  Tensor k_;
  Tensor v_;
  AttentionInputs inputs_{.visibility = Visibility::all(1, 1)};
};

// A built masker with its arguments by name.
using Given = std::vector<std::pair<std::string, std::string>>;
inline MaskerUse use(const std::string& id, const Given& given = {}) {
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
inline std::string error_of(const std::string& id, const Given& given) {
  try {
    run({use(id, given)}, MaskerProblem({1, 1, 1, 1, 8, 4}));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// The same masks and the same work for any thread count and any chunk size.
inline void expect_one_mask(const std::vector<MaskerUse>& maskers, const MaskerProblem& problem) {
  const Selection reference = run(maskers, problem, {.seed = 3});
  for (const int threads : {1, 2, 3}) {
    for (const std::int64_t chunk_rows : {1, 64, 100, 100'000}) {
      const Selection other = run(maskers, problem, {.seed = 3, .chunk_rows = chunk_rows}, threads);
      EXPECT_EQ(other.mask, reference.mask) << threads << " threads, " << chunk_rows << " rows";
      for (std::size_t m = 0; m < maskers.size(); ++m) {
        EXPECT_EQ(other.maskers[m].keys_scored, reference.maskers[m].keys_scored);
      }
    }
  }
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
