// What must hold of a cell of a stress test: the rules of experiments/rules, asked of it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/rules/violation.hpp"
#include "experiments/stress/stress_cell.hpp"

namespace maskerade::stress {

enum class Invariant {
  kSurvives,     // no call ends the process or never returns
  kVisible,      // only visible keys, probabilities in (0, 1], in canonical form
  kPrevious,     // what is active before stays active
  kRepeatable,   // the same again, with any threads and chunks
  kNothingKept,  // selections of other data leave no trace
  kDeclared,     // what the masker does not declare has no influence
  kBudget,       // a budget is obeyed, and one that reaches every key takes every key
  kReference,    // the mask is that of the masker's plain reference
  kIndex,        // an index appended to in any split is the same, and cutting takes it back
  kKernels,      // every CPU kernel agrees with the float64 oracle, whatever the threads
  kDevices,      // a device selects what the host does, and its kernels agree with the oracle
  kMasks,        // conversions come back, the algebra of masks holds
};
inline constexpr std::array kAllInvariants = {
    Invariant::kSurvives,    Invariant::kVisible,  Invariant::kPrevious, Invariant::kRepeatable,
    Invariant::kNothingKept, Invariant::kDeclared, Invariant::kBudget,   Invariant::kReference,
    Invariant::kIndex,       Invariant::kKernels,  Invariant::kDevices,  Invariant::kMasks,
};
std::string_view name_of(Invariant invariant) noexcept;     // "visible", "previous", ...
std::string_view meaning_of(Invariant invariant) noexcept;  // a few words
// Whether it is asked of the pipeline, so that any of its maskers may break it; the others are
// asked of the cell's last masker.
bool is_of_pipeline(Invariant invariant) noexcept;

// Why the program does not select for the cell; "": it does.
std::string refusal_of(const StressCell& cell);

// What is found of an invariant; nullopt where it cannot be asked of the cell: the last masker has
// no budget, reference or index, the cell has no device, or the pipeline, or the last masker alone,
// is refused. An error that comes after a first selection is a violation. Never asks kSurvives:
// whoever calls this has survived, see CellChecker.
std::optional<rules::Violations> check_invariant(Invariant invariant, const StressCell& cell);

// An invariant that a cell breaks. Of a pipeline whose first maskers break it alone, the cell is
// theirs: its last masker is the one to blame.
struct CellFailure {
  Invariant invariant;
  StressCell cell;
  rules::Violations violations;
};

struct CellOutcome {
  // See refusal_of(). Where a masker is refused what it has not declared, that is the one failure;
  // where the refusal is another, nothing was checked.
  std::string refusal;
  std::vector<Invariant> checked;  // those that could be asked, failures included
  std::vector<CellFailure> failures;
};
CellOutcome check_cell(const StressCell& cell);

}  // namespace maskerade::stress
