#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "tests/framework/pipeline/report_of.hpp"

namespace maskerade {

// Random q, k, v of a shape, of which many are equal, and the inputs that view them.
class TestProblem {
 public:
  TestProblem(const AttentionShape& shape, const Visibility& visibility, std::uint64_t seed = 1)
      : problem_({.shape = shape, .kind = rules::DataKind::kTies, .seed = seed}) {
    problem_.inputs.scale = 0.25F;
    problem_.inputs.visibility = visibility;
  }
  const AttentionInputs& inputs() const { return problem_.inputs; }

 private:
  rules::RandomProblem problem_;
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
