#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/plugin/catalog.hpp"
#include "tests/golden_test/case_data.hpp"
#include "tests/golden_test/findings.hpp"

namespace maskerade::golden {

// A case and what it is run with.
struct CaseRun {
  const Case& golden;
  std::filesystem::path file;  // the case's tensors
  const CaseTensors& tensors;
  const Catalog& catalog;
};

// The checks of one family each: our code against expected_exact, by the manifest's acceptance.
void check_mask_op(const CaseRun& run, Findings& findings);
void check_maskers(const CaseRun& run, Findings& findings);
void check_attention(const CaseRun& run, Findings& findings);
void check_statistics(const CaseRun& run, Findings& findings);

// Statistics of one masker.
void check_adaptive_sampling(const CaseRun& run, Findings& findings);
void check_magic_pig(const CaseRun& run, Findings& findings);

// Our mask operations by the published rules against what the published code returned. Tells how
// faithful those rules are; decides nothing.
void compare_with_published(const CaseRun& run, Findings& findings);

// "hash_attention is not built": the case's maskers that the catalog does not have; "" when all are
// there.
std::string missing_maskers(const CaseRun& run);

}  // namespace maskerade::golden
