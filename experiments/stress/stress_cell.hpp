// One cell of a stress test: everything that a check of it depends on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/catalog.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade::stress {

// A masker and the parameters that it is given; the others have their defaults.
struct GivenMasker {
  std::shared_ptr<const MaskerType> type;
  std::vector<GivenParameter> given;

  // Throws ParameterError when the masker's table does not accept what is given.
  MaskerUse use() const;
  // As an experiment file has it: "{quest: {budget: 5%, page_size: 16}}", "local".
  std::string to_yaml() const;
};

// A pipeline, the problem that it selects for, and how it is asked to. The last masker is the one
// that the cell is about.
struct StressCell {
  std::vector<GivenMasker> maskers;  // at least one
  rules::ProblemSpec problem;
  bool has_previous = false;  // whether a random mask is active before the first masker
  std::uint64_t mask_seed = 0;
  int threads = 1;
  std::int64_t chunk_rows = 1024;

  const GivenMasker& subject() const { return maskers.back(); }
  // The cell of its first `count` maskers.
  StressCell first_maskers(std::size_t count) const;
  std::vector<MaskerUse> uses() const;
};
// "[{sink: 4}, {quest: 5%}] on (1, 8, 2, 3, 101, 16) bfloat16 causal ties seed 5, ..."
std::string to_string(const StressCell& cell);

// The numbers of a problem, and the inputs that view them. A problem of DataKind::kNormal has those
// of the gaussian source with its seed, so that an experiment file can state it; others have those
// of rules::RandomProblem. The same spec gives the same numbers.
struct StressProblem {
  explicit StressProblem(const rules::ProblemSpec& spec);

  Tensor q;
  Tensor k;
  Tensor v;
  AttentionInputs inputs;  // scale 1 / sqrt(head_dim)
};

// The mask that is active before the first masker of a cell with has_previous: bits alone, tiles
// and rows among them that are full and empty.
Mask previous_mask(const StressCell& cell, const AttentionInputs& inputs);

}  // namespace maskerade::stress
