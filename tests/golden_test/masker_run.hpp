#pragma once

#include "framework/pipeline/pipeline.hpp"
#include "tests/golden_test/checks.hpp"

namespace maskerade::golden {

// The inputs of a case; q, k and v are kept alive here.
struct CaseInputs {
  explicit CaseInputs(const CaseRun& run);

  Tensor q;
  Tensor k;
  Tensor v;  // k where the case has none
  AttentionInputs inputs;
};

// The case's maskers by our ids and parameter names, sizes as resolved. Throws ParameterError when
// one does not accept them.
std::vector<MaskerUse> masker_uses(const CaseRun& run);

// One masker of the case, with further parameters of ours.
MaskerUse masker_use(const CaseRun& run,
                     const CaseMasker& masker,
                     const std::vector<GivenParameter>& further = {});

// What our maskers select, from the case's mask before they run; the same with 1 and 2 threads.
Mask select(const CaseRun& run, const AttentionInputs& inputs, Findings& findings);

// Dense [batch, query_heads, query_len, key_len] of a mask of the case.
std::vector<float> dense(const Case& golden, const Mask& mask);

// Checks the stored `allowed` against what we call visible.
void check_allowed(const CaseRun& run, const Visibility& visibility, Findings& findings);

}  // namespace maskerade::golden
