#include "experiments/stress/check_cell.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

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
    if (cell.has_previous()) previous_ = previous_mask(cell, problem_.inputs);
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
  StressCell with_previous = in_hand.cell();
  if (!with_previous.has_previous()) with_previous.previous = rules::PreviousMask::kMixed;
  const Mask previous = previous_mask(with_previous, in_hand.inputs());
  request.previous = &previous;
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
  if (subject.type->extension<maskerade_index_extension>()->append_is_build != 0) {
    const std::array<std::int64_t, 2> built = {few, many};
    rules::append(all, rules::check_append_is_build(make, built, key_len));
  }
  return all;
}

Violations check_reference(const CellInHand& in_hand) {
  const GivenMasker& subject = in_hand.cell().subject();
  if (subject.reference == nullptr) throw NotApplicable();
  std::vector<MaskerUse> maskers = in_hand.pipeline().maskers();
  maskers.back() = subject.reference_use();
  const SelectionRequest request = in_hand.request();
  std::optional<Mask> plain;
  try {
    plain = rules::selector_of(Pipeline(std::move(maskers)))(request).mask;
  } catch (const PluginError&) {
    throw NotApplicable();  // a reference need not write out what every parameter does
  }
  return rules::check_same_entries("the mask is that of the plain reference",
                                   rules::selector_of(in_hand.pipeline())(request).mask, *plain);
}

// Every kernel of a backend, over a mask for the cell's inputs.
Violations check_kernels(const CellInHand& in_hand, const Mask& mask, const std::string& backend) {
  const AttentionInputs& inputs = in_hand.inputs();
  Violations all;
  for (const KernelRow& row : kernel_table()) {
    if (row.backend != backend) continue;
    double base = 0;
    const rules::ThreadedAttendFunction attend = [&](const AttentionInputs& shown, const Mask& over,
                                                     int threads) {
      const auto opened = open_backend(backend, shown, {.threads = Threads(threads)});
      const auto selected = opened->take(over);
      const KernelPlan planned = plan_for(*opened, *selected, row.name);
      base = base_allowance(planned.plan->arithmetic());
      AttentionOutput output;
      planned.attend(*opened, output);
      opened->fetch(*planned.plan, output);
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

// What the pipeline selects from nothing on the cell's device, and the kernels there.
Violations check_devices(const CellInHand& in_hand) {
  const std::string& device = in_hand.cell().device;
  const AttentionInputs& inputs = in_hand.inputs();
  if (device == "cpu") throw NotApplicable();
  if (!find_backend(device).refusal(inputs.shape).empty()) throw NotApplicable();
  SelectionRequest request = in_hand.request();
  request.previous = nullptr;
  const Mask on_host = rules::selector_of(in_hand.pipeline())(request).mask;
  const auto backend = open_backend(device, inputs, {.threads = Threads(in_hand.cell().threads)});
  const auto prepared = ResearchAttention(in_hand.pipeline()).prepare(*backend, in_hand.options());
  Violations all = rules::check_same_entries("the device selects what the host selects",
                                             prepared->select()->on_host(), on_host);
  rules::append(all, check_kernels(in_hand, on_host, device));
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
    case Invariant::kReference:
      return check_reference(in_hand);
    case Invariant::kKernels:
      return check_kernels(in_hand, in_hand.selected(), "cpu");
    case Invariant::kDevices:
      return check_devices(in_hand);
    case Invariant::kSurvives:
      throw NotApplicable();
    case Invariant::kMasks:
      return check_masks(in_hand);
  }
  return {};
}

// Why the cell's pipeline, or its last masker alone, does not select; "": it does.
std::string refusal_of(const CellInHand& in_hand, bool is_alone) {
  SelectionRequest request = in_hand.request();
  if (is_alone) request.previous = nullptr;
  try {
    rules::selector_of(is_alone ? Pipeline({in_hand.subject()}) : in_hand.pipeline())(request);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
// The same for what an invariant is asked of.
bool selects(Invariant invariant, const CellInHand& in_hand) {
  return refusal_of(in_hand, invariant == Invariant::kDeclared || invariant == Invariant::kIndex)
      .empty();
}

}  // namespace

std::string_view name_of(Invariant invariant) noexcept {
  switch (invariant) {
    case Invariant::kSurvives:
      return "survives";
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
    case Invariant::kReference:
      return "reference";
    case Invariant::kIndex:
      return "index";
    case Invariant::kKernels:
      return "kernels";
    case Invariant::kDevices:
      return "devices";
    case Invariant::kMasks:
      return "masks";
  }
  return "";
}

std::string_view meaning_of(Invariant invariant) noexcept {
  switch (invariant) {
    case Invariant::kSurvives:
      return "no call ends the process, or never returns";
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
    case Invariant::kReference:
      return "the mask of the masker's plain reference";
    case Invariant::kIndex:
      return "appending in any split is the same, or building anew; cutting takes it back";
    case Invariant::kKernels:
      return "every CPU kernel agrees with the float64 oracle";
    case Invariant::kDevices:
      return "a device selects what the host does, and its kernels agree with the oracle";
    case Invariant::kMasks:
      return "conversions and the algebra of masks";
  }
  return "";
}

bool is_of_pipeline(Invariant invariant) noexcept {
  return invariant != Invariant::kDeclared && invariant != Invariant::kBudget &&
         invariant != Invariant::kReference && invariant != Invariant::kIndex;
}

std::string refusal_of(const StressCell& cell) {
  try {
    return refusal_of(CellInHand(cell), false);
  } catch (const Error& error) {
    return error.what();
  }
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
  CellOutcome outcome{.refusal = refusal_of(cell), .checked = {}, .failures = {}};
  for (const Invariant invariant : kAllInvariants) {
    if (!outcome.refusal.empty() && invariant != Invariant::kDeclared) continue;
    std::optional<Violations> found = check_invariant(invariant, cell);
    if (!found || (!outcome.refusal.empty() && found->empty())) continue;
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
