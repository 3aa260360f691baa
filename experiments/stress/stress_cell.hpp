// One cell of a stress test: everything that a check of it depends on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/rules/published_suites.hpp"
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
  // The same masker written plainly: a library apart whose masker has the same id and parameters.
  // nullptr: there is none.
  std::shared_ptr<const MaskerType> reference = nullptr;

  // Throws ParameterError when the masker's table does not accept what is given.
  MaskerUse use() const;
  // The reference, which there must be, given the same. Throws likewise.
  MaskerUse reference_use() const;
  // As an experiment file has it: "{quest: {budget: 5%, page_size: 16}}", "local".
  std::string to_yaml() const;
};

// A pipeline, the problem that it selects for, and how it is asked to. The last masker is the one
// that the cell is about.
struct StressCell {
  std::vector<GivenMasker> maskers;  // at least one
  rules::ProblemSpec problem;
  // What is active before the first masker, drawn by the problem's seed.
  rules::PreviousMask previous = rules::PreviousMask::kNone;
  std::uint64_t mask_seed = 0;
  int threads = 1;
  std::int64_t chunk_rows = 1024;
  std::string device = "cpu";  // a backend; Invariant::kDevices alone depends on it

  const GivenMasker& subject() const { return maskers.back(); }
  bool has_previous() const { return previous != rules::PreviousMask::kNone; }
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

// The mask that is active before the cell's first masker, bits alone; empty without a previous one.
Mask previous_mask(const StressCell& cell, const AttentionInputs& inputs);

}  // namespace maskerade::stress
