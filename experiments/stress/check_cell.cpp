#include "experiments/stress/check_cell.hpp"

#include <algorithm>
#include <exception>
#include <memory>

#include "attention/backend_table.hpp"
#include "attention/research_attention.hpp"
#include "experiments/rules/index_rules.hpp"
#include "experiments/rules/kernel_rules.hpp"
#include "experiments/rules/mask_rules.hpp"
#include "experiments/rules/masker_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade::stress {
namespace {

using rules::SelectionRequest;
using rules::Selector;
using rules::Violations;

// The most keys that an index is appended to and cut back by, one at a time.
constexpr std::int64_t kMostSteps = 12;

// The cell's last masker cannot be asked.
struct NotApplicable {};

// A cell with its problem, and how its pipeline is asked.
class CellInHand {
 public:
  explicit CellInHand(const StressCell& cell)
      : cell_(cell), problem_(cell.problem), pipeline_(cell.uses()) {
    if (cell.has_previous) previous_ = previous_mask(cell, problem_.inputs);
  }
  CellInHand(const CellInHand&) = delete;
  CellInHand& operator=(const CellInHand&) = delete;

  const StressCell& cell() const { return cell_; }
  const AttentionInputs& inputs() const { return problem_.inputs; }
  const Pipeline& pipeline() const { return pipeline_; }
  MaskerUse subject() const { return pipeline_.maskers().back(); }
  PipelineOptions options() const {
    return {.seed = cell_.mask_seed, .chunk_rows = cell_.chunk_rows};
  }
  SelectionRequest request() const {
    return {.inputs = problem_.inputs,
            .options = options(),
            .threads = cell_.threads,
            .previous = previous_ ? &*previous_ : nullptr};
  }
  // What is active before the last masker; nothing is an empty mask.
  Mask before_subject() const {
    const std::vector<MaskerUse>& all = pipeline_.maskers();
    return rules::selector_of(Pipeline({all.begin(), all.end() - 1}))(request()).mask;
  }
  // The pipeline's mask for every batch entry and head.
  Mask selected() const {
    const AttentionShape& shape = inputs().shape;
    return broadcast(rules::selector_of(pipeline_)(request()).mask,
                     {shape.batch, shape.query_heads});
  }

 private:
  StressCell cell_;
  StressProblem problem_;
  std::optional<Mask> previous_;
  Pipeline pipeline_;
};

Violations check_previous(const CellInHand& in_hand) {
  SelectionRequest request = in_hand.request();
  const Mask drawn = previous_mask(in_hand.cell(), in_hand.inputs());
  if (request.previous == nullptr) request.previous = &drawn;
  return rules::check_selection_keeps_previous(rules::selector_of(in_hand.pipeline()), request);
}

Violations check_nothing_kept(const CellInHand& in_hand) {
  rules::ProblemSpec spec = in_hand.cell().problem;
  spec.seed += 1;
  const StressProblem other_problem(spec);
  SelectionRequest other = in_hand.request();
  other.inputs = other_problem.inputs;
  return rules::check_nothing_is_kept(rules::selector_of(in_hand.pipeline()), in_hand.request(),
                                      other);
}

Violations check_declared(const CellInHand& in_hand) {
  SelectionRequest request = in_hand.request();
  request.previous = nullptr;
  return rules::check_undeclared_inputs_do_not_matter(
      rules::selector_of(Pipeline({in_hand.subject()})), request,
      in_hand.subject().type->descriptor().depends_on);
}

// The masker with only those parameters in tokens that are its budget or that it requires: another
// one may say which keys are no candidates, which no budget reaches.
MaskerUse over_every_key(const GivenMasker& masker, std::size_t budget) {
  const maskerade_masker_descriptor& descriptor = masker.type->descriptor();
  GivenMasker reduced = masker;
  std::erase_if(reduced.given, [&](const GivenParameter& given) {
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      const maskerade_parameter& row = descriptor.parameters[i];
      if (row.name != given.name) continue;
      return row.unit == MASKERADE_UNIT_TOKENS && i != budget && row.default_value != nullptr;
    }
    return false;
  });
  return reduced.use();
}

Violations check_budgets(const CellInHand& in_hand) {
  const MaskerUse subject = in_hand.subject();
  const std::optional<std::size_t> parameter = rules::budget_parameter(*subject.type);
  if (!parameter) throw NotApplicable();
  const Mask before = in_hand.before_subject();
  SelectionRequest request = in_hand.request();
  request.previous = &before;
  const MaskerUse reaching = over_every_key(in_hand.cell().subject(), *parameter);
  std::vector<std::string> budgets = rules::whole_budgets(in_hand.inputs().shape.key_len);
  budgets.push_back(reaching.arguments->resolved()[*parameter].second);
  Violations all = rules::check_budgets_reach_every_key(reaching, request, budgets);
  if (!rules::takes_pieces(*subject.type)) {
    rules::append(all, rules::check_budget(rules::selector_of(Pipeline({subject})), request,
                                           rules::budget_of(subject, "budget")));
  }
  return all;
}

Violations check_index(const CellInHand& in_hand) {
  const MaskerUse subject = in_hand.subject();
  const std::int64_t key_len = in_hand.inputs().shape.key_len;
  if (subject.type->extension<maskerade_index_extension>() == nullptr || key_len < 2) {
    throw NotApplicable();
  }
  const Pipeline alone({subject});
  const rules::GrowingSelectionMaker make = [&](std::int64_t built) {
    return std::make_unique<rules::GrowingPipeline>(
        alone, [&](std::int64_t keys) { return rules::first_keys(in_hand.inputs(), keys); },
        in_hand.options(), in_hand.cell().threads, built);
  };
  const std::int64_t few = std::max<std::int64_t>(1, key_len / 2);
  const std::int64_t many = std::max<std::int64_t>(1, key_len - kMostSteps);
  try {
    make(few)->select();
    make(many)->select();
  } catch (const Error&) {
    throw NotApplicable();
  }
  Violations all = rules::check_append_splits(make, few, key_len);
  rules::append(all, rules::check_truncate_undoes_append(make, many, key_len, 1, 2));
  return all;
}

Violations check_kernels(const CellInHand& in_hand) {
  const Mask mask = in_hand.selected();
  const AttentionInputs& inputs = in_hand.inputs();
  Violations all;
  for (const KernelRow& row : kernel_table()) {
    if (row.backend != "cpu") continue;
    double base = 0;
    const rules::ThreadedAttendFunction attend = [&](const AttentionInputs& shown, const Mask& over,
                                                     int threads) {
      const auto backend = open_backend("cpu", shown, {.threads = Threads(threads)});
      const auto selected = backend->take(over);
      const KernelPlan planned = plan_for(*backend, *selected, row.name);
      base = base_allowance(planned.plan->arithmetic());
      AttentionOutput output;
      planned.attend(*backend, output);
      backend->fetch(*planned.plan, output);
      return output;
    };
    Violations found;
    try {
      const AttentionOutput output = attend(inputs, mask, in_hand.cell().threads);
      found = rules::check_output(inputs, mask, output, base);
    } catch (const UnavailableError&) {
      continue;
    }
    rules::append(found, rules::check_output_is_repeatable(inputs, mask, attend));
    if (inputs.shape.key_len > 1) {
      const std::int64_t border = inputs.shape.key_len / 2;
      rules::append(found, rules::check_merge_of_parts(
                               inputs, mask,
                               [&](const AttentionInputs& shown, const Mask& over) {
                                 return attend(shown, over, in_hand.cell().threads);
                               },
                               {&border, 1}, base));
    }
    for (rules::Violation& violation : found) {
      violation.rule = "kernel " + std::string(row.name) + ": " + violation.rule;
    }
    rules::append(all, found);
  }
  return all;
}

Violations check_masks(const CellInHand& in_hand) {
  const Mask mask = in_hand.selected();
  const auto random = [&](bool is_sampled, unsigned seed) {
    return rules::random_mask(mask.visibility(), mask.extent(), {.sampled = is_sampled}, seed);
  };
  const auto seed = static_cast<unsigned>(in_hand.cell().mask_seed);
  const Mask other = random(true, seed + 1);
  Violations all = rules::check_conversions(mask);
  rules::append(all, rules::check_operations_entry_by_entry(mask, other));
  rules::append(all, rules::check_sampled_laws(mask, other, random(false, seed + 2)));
  rules::append(
      all, rules::check_lattice_laws(support_of(mask), support_of(other), random(false, seed + 2)));
  return all;
}

Violations ask(Invariant invariant, const CellInHand& in_hand) {
  const Selector select = rules::selector_of(in_hand.pipeline());
  switch (invariant) {
    case Invariant::kVisible:
      return rules::check_visible_entries_alone(select, in_hand.request());
    case Invariant::kPrevious:
      return check_previous(in_hand);
    case Invariant::kRepeatable:
      return rules::check_selection_is_repeatable(select, in_hand.request());
    case Invariant::kNothingKept:
      return check_nothing_kept(in_hand);
    case Invariant::kDeclared:
      return check_declared(in_hand);
    case Invariant::kBudget:
      return check_budgets(in_hand);
    case Invariant::kIndex:
      return check_index(in_hand);
    case Invariant::kKernels:
      return check_kernels(in_hand);
    case Invariant::kMasks:
      return check_masks(in_hand);
  }
  return {};
}

// Whether the cell's pipeline, or its last masker alone where that is asked, selects at all.
bool selects(Invariant invariant, const CellInHand& in_hand) {
  const bool is_alone = invariant == Invariant::kDeclared || invariant == Invariant::kIndex;
  SelectionRequest request = in_hand.request();
  if (is_alone) request.previous = nullptr;
  try {
    rules::selector_of(is_alone ? Pipeline({in_hand.subject()}) : in_hand.pipeline())(request);
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

std::string_view name_of(Invariant invariant) noexcept {
  switch (invariant) {
    case Invariant::kVisible:
      return "visible";
    case Invariant::kPrevious:
      return "previous";
    case Invariant::kRepeatable:
      return "repeats";
    case Invariant::kNothingKept:
      return "no trace";
    case Invariant::kDeclared:
      return "declared";
    case Invariant::kBudget:
      return "budget";
    case Invariant::kIndex:
      return "index";
    case Invariant::kKernels:
      return "kernels";
    case Invariant::kMasks:
      return "masks";
  }
  return "";
}

std::string_view meaning_of(Invariant invariant) noexcept {
  switch (invariant) {
    case Invariant::kVisible:
      return "visible keys alone, probabilities in (0, 1]";
    case Invariant::kPrevious:
      return "what is active before stays active";
    case Invariant::kRepeatable:
      return "the same again, with any threads and chunks";
    case Invariant::kNothingKept:
      return "selections of other data leave no trace";
    case Invariant::kDeclared:
      return "what is not declared has no influence";
    case Invariant::kBudget:
      return "a budget is obeyed, and can reach every key";
    case Invariant::kIndex:
      return "appending in any split is the same, cutting takes it back";
    case Invariant::kKernels:
      return "every CPU kernel agrees with the float64 oracle";
    case Invariant::kMasks:
      return "conversions and the algebra of masks";
  }
  return "";
}

bool is_of_pipeline(Invariant invariant) noexcept {
  return invariant != Invariant::kDeclared && invariant != Invariant::kBudget &&
         invariant != Invariant::kIndex;
}

std::optional<rules::Violations> check_invariant(Invariant invariant, const StressCell& cell) {
  std::unique_ptr<CellInHand> in_hand;
  try {
    in_hand = std::make_unique<CellInHand>(cell);
  } catch (const Error&) {
    return std::nullopt;
  }
  // The rule of what is declared tells a refusal of what is not by itself.
  if (invariant != Invariant::kDeclared && !selects(invariant, *in_hand)) return std::nullopt;
  try {
    return ask(invariant, *in_hand);
  } catch (const NotApplicable&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (invariant == Invariant::kDeclared && !selects(invariant, *in_hand)) return std::nullopt;
    return Violations{{"what selected once selects again", {}, error.what()}};
  }
}

CellOutcome check_cell(const StressCell& cell) {
  CellOutcome outcome;
  for (const Invariant invariant : kAllInvariants) {
    std::optional<Violations> found = check_invariant(invariant, cell);
    if (!found) continue;
    outcome.checked.push_back(invariant);
    if (found->empty()) continue;
    CellFailure failure{invariant, cell, std::move(*found)};
    for (std::size_t count = 1; is_of_pipeline(invariant) && count < cell.maskers.size(); ++count) {
      const StressCell first = cell.first_maskers(count);
      std::optional<Violations> of_first = check_invariant(invariant, first);
      if (!of_first || of_first->empty()) continue;
      failure = {invariant, first, std::move(*of_first)};
      break;
    }
    outcome.failures.push_back(std::move(failure));
  }
  return outcome;
}

}  // namespace maskerade::stress
