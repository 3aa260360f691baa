#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/philox.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Random q, k, v of a shape, and the inputs that view them.
class TestProblem {
 public:
  TestProblem(const AttentionShape& shape, const Visibility& visibility, std::uint64_t seed = 1)
      : inputs_{shape, {}, {}, {}, 0.25F, visibility, 0} {
    q_ = random(shape.batch, shape.query_heads, shape.query_len, shape.head_dim, seed, 0);
    k_ = random(shape.batch, shape.kv_heads, shape.key_len, shape.head_dim, seed, 1);
    v_ = random(shape.batch, shape.kv_heads, shape.key_len, shape.head_dim, seed, 2);
    inputs_.q = q_.view();
    inputs_.k = k_.view();
    inputs_.v = v_.view();
  }
  const AttentionInputs& inputs() const { return inputs_; }

 private:
  static Tensor random(std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim,
                       std::uint64_t seed,
                       std::uint32_t stream) {
    const RandomField field({.seed = seed, .stream = stream});
    std::vector<float> values(static_cast<std::size_t>(batch * heads * length * dim));
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Multiples of 1/4: ties between keys happen.
      values[i] = static_cast<float>(
                      static_cast<int>(field.bits(0, static_cast<std::uint32_t>(i)) % 9) - 4) /
                  4.0F;
    }
    return Tensor::from_floats(DType::kFloat32, batch, heads, length, dim, values.data());
  }

  Tensor q_;
  Tensor k_;
  Tensor v_;
  AttentionInputs inputs_;
};

// A masker of the built-in or the test plugins, with arguments by name ("" is the first parameter).
inline MaskerUse use(const std::string& id, const std::vector<GivenParameter>& given = {}) {
  Catalog catalog;
  auto library = std::filesystem::path(MASKERADE_TEST_PLUGINS) / (id + ".so");
  if (!std::filesystem::exists(library)) {
    library = std::filesystem::path(MASKERADE_BUILT_IN_PLUGINS) / (id + ".so");
  }
  catalog.load(library);
  const auto type = catalog.find(id);
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), given))};
}

inline Selection run(const std::vector<MaskerUse>& maskers,
                     const TestProblem& problem,
                     const PipelineOptions& options = {},
                     int threads = 1) {
  const Threads workers(threads);
  return Pipeline(maskers).prepare(problem.inputs(), options, workers).select(workers);
}

}  // namespace maskerade
