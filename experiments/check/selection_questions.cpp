#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "experiments/check/questions.hpp"
#include "experiments/rules/masker_rules.hpp"
#include "experiments/stress/check_cell.hpp"
#include "experiments/stress/reproduction.hpp"
#include "experiments/stress/shrink.hpp"
#include "framework/base/error.hpp"
#include "framework/sdk/dependencies.hpp"

namespace maskerade::check {
namespace {

using stress::Invariant;

// An invariant of a stress test as an author reads it.
struct InvariantRow {
  Invariant invariant;
  const char* asked;
  const char* rule;
  const char* why_not;  // why no cell could be asked
};
constexpr InvariantRow kInvariants[] = {
    {Invariant::kVisible, "visible keys alone",
     "masker_abi.h: maskerade_services: add_range, add_keys: keys in [0, key_len), probabilities "
     "in (0, 1]",
     "it does not select"},
    {Invariant::kPrevious, "what is active stays",
     "masker_abi.h: maskerade_services: the result is united with what was active before",
     "it does not select"},
    {Invariant::kRepeatable, "threads and chunks",
     "masker_abi.h: maskerade_grain: the host cuts the work at unit borders; select [any thread]",
     "it does not select"},
    {Invariant::kNothingKept, "nothing is kept",
     "masker_abi.h: maskerade_call: a masker changes nothing but through services",
     "it does not select"},
    {Invariant::kDeclared, "undeclared inputs",
     "masker_abi.h: MASKERADE_DEPENDS_*: what is not declared cannot be read",
     "it does not select"},
    {Invariant::kBudget, "budget",
     "masker.hpp: Budget: no more keys than that, and every key once it reaches all",
     "it has no \"budget\" in tokens, or draws"},
    {Invariant::kIndex, "index: splits",
     "masker_abi.h: append: any split gives the same index; truncate: forgets the keys from "
     "key_end on",
     "it does not select"},
};

std::string of_cells(std::size_t some, std::size_t all) {
  return fmt::format("{} of {} cell{}", some, all, all == 1 ? "" : "s");
}

// Whether a violation is told by another question: of errors, where the masker fails after it
// selected once, or of what it reports of its work.
bool is_told_elsewhere(const rules::Violation& violation) {
  return breaks_rule_of_errors(violation.finding) || rules::is_about_work(violation);
}

// The smallest cell that breaks an invariant as this one does, in words, with what draws it again.
std::string failure_text(const MaskerInHand& masker,
                         const stress::CellFailure& failure,
                         std::int64_t number) {
  stress::CellFailure smallest = failure;
  // What the masker ends while it is shrunk stays as it is.
  if (masker.goes_on("shrinking " + masker.command_of(number))) {
    stress::LocalChecker checker;
    smallest = stress::shrink(failure, checker);
  }
  const rules::Violations& all = smallest.violations;
  const auto first = std::find_if_not(all.begin(), all.end(), is_told_elsewhere);
  std::string text = fmt::format("{}, for {}; again: {}",
                                 rules::to_string(first == all.end() ? all.front() : *first),
                                 stress::to_string(smallest.cell), masker.command_of(number));
  if (masker.options().folder.empty()) return text;
  const std::filesystem::path folder =
      std::filesystem::path(masker.options().folder) / masker.type()->id();
  std::error_code ignored;  // writing into it tells
  std::filesystem::create_directories(folder, ignored);
  const std::filesystem::path file =
      stress::write_reproduction(smallest, masker.origin_of(number), folder);
  return text + "; written to " + file.string();
}

// What an invariant finds in each cell; nullopt where it cannot be asked of one. Asked once.
class CellAnswers {
 public:
  CellAnswers(MaskerInHand& masker, const InvariantRow& row) : masker_(masker), row_(row) {}

  const InvariantRow& row() const { return row_; }
  const std::vector<std::optional<rules::Violations>>& all() {
    const std::vector<stress::CheckedCell>& cells = masker_.cells();
    for (std::size_t i = answers_.size(); i < cells.size(); ++i) {
      const std::string command = masker_.command_of(static_cast<std::int64_t>(i));
      std::optional<rules::Violations> found;
      if (cells[i].cell && masker_.goes_on(fmt::format("{}, {}", row_.asked, command))) {
        found = stress::check_invariant(row_.invariant, *cells[i].cell);
      }
      answers_.push_back(std::move(found));
    }
    return answers_;
  }

 private:
  MaskerInHand& masker_;
  const InvariantRow& row_;
  std::vector<std::optional<rules::Violations>> answers_;
};

Finding ask_of_cells(MaskerInHand& masker, CellAnswers& answers) {
  const InvariantRow& row = answers.row();
  std::size_t asked = 0;
  std::size_t broken = 0;
  std::string first;
  for (std::size_t i = 0; i < answers.all().size(); ++i) {
    const std::optional<rules::Violations>& found = answers.all()[i];
    if (!found) continue;
    ++asked;
    for (const rules::Violation& violation : *found) {
      if (!breaks_rule_of_errors(violation.finding)) continue;
      masker.keep({masker.command_of(static_cast<std::int64_t>(i)), violation.finding});
    }
    if (std::all_of(found->begin(), found->end(), is_told_elsewhere)) continue;
    if (++broken == 1) {
      first = failure_text(masker, {row.invariant, *masker.cells()[i].cell, *found},
                           static_cast<std::int64_t>(i));
    }
  }
  if (asked == 0) return {VerdictKind::kNotAsked, row.why_not};
  if (broken > 0) {
    return {VerdictKind::kFailed, fmt::format("{}: {}", of_cells(broken, asked), first)};
  }
  return {VerdictKind::kOk, fmt::format("{} cell{}: {}", asked, asked == 1 ? "" : "s",
                                        stress::meaning_of(row.invariant))};
}

Finding ask_for_work(const MaskerInHand& masker, CellAnswers& answers) {
  std::size_t asked = 0;
  std::size_t broken = 0;
  std::string first;
  for (std::size_t i = 0; i < answers.all().size(); ++i) {
    const std::optional<rules::Violations>& found = answers.all()[i];
    if (!found) continue;
    ++asked;
    const auto violation = std::find_if(found->begin(), found->end(), rules::is_about_work);
    if (violation == found->end() || ++broken > 1) continue;
    first = fmt::format("{}; again: {}", rules::to_string(*violation),
                        masker.command_of(static_cast<std::int64_t>(i)));
  }
  if (asked == 0) return {VerdictKind::kNotAsked, answers.row().why_not};
  if (broken > 0) {
    return {VerdictKind::kWarning,
            fmt::format("{}: {}; count by row, not by call", of_cells(broken, asked), first)};
  }
  return {VerdictKind::kOk, fmt::format("{} cell{}: as many keys scored and bytes read with any "
                                        "threads and chunks",
                                        asked, asked == 1 ? "" : "s")};
}

Finding ask_whether_it_selects(MaskerInHand& masker) {
  std::size_t drawn = 0;
  std::int64_t refusals = 0;
  std::string refusal;
  for (const stress::CheckedCell& cell : masker.cells()) {
    drawn += cell.cell ? 1 : 0;
    refusals += cell.refusals;
    if (!cell.refusal.empty()) refusal = cell.refusal;
  }
  const std::size_t all = masker.cells().size();
  if (drawn == 0) {
    return {breaks_rule_of_errors(refusal) ? VerdictKind::kNotAsked : VerdictKind::kFailed,
            fmt::format("the program refuses every draw: {}", refusal)};
  }
  return {
      VerdictKind::kOk,
      fmt::format(
          "{} drawn{}", of_cells(drawn, all),
          refusals == 0 ? "" : fmt::format("; {} draws refused, such as: {}", refusals, refusal))};
}

bool reads_files(const MaskerType& type) {
  const maskerade_masker_descriptor& descriptor = type.descriptor();
  return std::any_of(
      descriptor.parameters, descriptor.parameters + descriptor.parameter_count,
      [](const maskerade_parameter& row) { return row.unit == MASKERADE_UNIT_FILE; });
}

// The inputs that a masker declares, and whether a change of one changed a mask.
Finding ask_whether_declared_matters(MaskerInHand& masker) {
  const std::uint32_t declared = masker.type()->descriptor().depends_on;
  std::uint32_t asked = 0;
  std::uint32_t seen = 0;
  std::size_t cells = 0;
  for (std::size_t i = 0; i < masker.cells().size(); ++i) {
    const stress::CheckedCell& drawn = masker.cells()[i];
    const std::string what = "declared inputs, " + masker.command_of(static_cast<std::int64_t>(i));
    if (!drawn.cell || !masker.goes_on(what)) continue;
    const stress::StressProblem problem(drawn.cell->problem);
    try {
      const rules::Influences found = rules::influences_of(
          rules::selector_of(Pipeline({drawn.cell->subject().use()})),
          {.inputs = problem.inputs,
           .options = {.seed = drawn.cell->mask_seed, .chunk_rows = drawn.cell->chunk_rows}},
          declared, declared & ~seen);
      asked |= found.asked;
      seen |= found.seen;
      ++cells;
    } catch (const Error&) {  // told by other questions
    }
  }
  std::string idle;
  std::string busy;
  for (const sdk::Dependency& one : sdk::kDependencies) {
    if ((asked & one.flag) == 0) continue;
    std::string& names = (seen & one.flag) != 0 ? busy : idle;
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  if (!idle.empty() && reads_files(*masker.type())) {
    return {VerdictKind::kOk,
            fmt::format("without influence in {} cells: {}, which its file may need; a change of "
                        "each other alone changes a mask: {}",
                        cells, idle, busy.empty() ? "none" : busy)};
  }
  if (!idle.empty()) {
    return {VerdictKind::kWarning,
            fmt::format("declared, and without influence in {} cells: {}; what is declared costs: "
                        "a copy per head or batch entry, an order of maskers; leave out what "
                        "select does not use",
                        cells, idle)};
  }
  if (busy.empty()) {
    return {VerdictKind::kNotAsked, "it declares nothing that can be changed alone"};
  }
  return {VerdictKind::kOk, fmt::format("a change of each alone changes a mask: {}", busy)};
}

Finding ask_for_errors(MaskerInHand& masker) {
  std::size_t calls = 0;
  std::size_t broken = 0;
  std::size_t refused = 0;
  std::string first;
  std::string example;
  const auto count = [&](const std::string& what, const std::string& text) {
    if (text == kEndsProcess) return;  // told where it did
    ++calls;
    if (text.empty()) return;
    if (breaks_rule_of_errors(text)) {
      if (++broken == 1) first = fmt::format("{}: {}", what, text);
    } else {
      ++refused;
      example = text;
    }
  };
  // Dimensions, lengths and groups that few maskers are written for, whatever shape is given.
  for (const AttentionShape& shape :
       {AttentionShape{1, 1, 1, 3, 3, 1}, AttentionShape{1, 3, 1, 2, 70, 3},
        AttentionShape{1, 5, 5, 1, 65, 7}, AttentionShape{1, 2, 1, 70, 2, 12}}) {
    masker.attempt(masker.usual(), {.shape = shape});
  }
  for (const Attempt& attempt : masker.attempts()) count(attempt.what, attempt.text);
  for (std::size_t i = 0; i < masker.cells().size(); ++i) {
    count(masker.command_of(static_cast<std::int64_t>(i)), masker.cells()[i].refusal);
  }
  const std::string kept = masker.type()->misconduct();
  if (!kept.empty()) return {VerdictKind::kFailed, kept};
  if (broken > 0) {
    return {VerdictKind::kFailed, fmt::format("{} of {} calls: {}", broken, calls, first)};
  }
  return {VerdictKind::kOk,
          refused == 0 ? fmt::format("none of {} calls failed", calls)
                       : fmt::format("{} of {} calls failed, each with a text, such as: {}",
                                     refused, calls, example)};
}

}  // namespace

void add_selection_questions(MaskerInHand& masker, std::vector<Question>& questions) {
  questions.push_back({"drawn cells",
                       "masker_abi.h: create, select: validated arguments, any shape",
                       [&masker] { return ask_whether_it_selects(masker); }});
  for (const InvariantRow& row : kInvariants) {
    if (row.invariant == Invariant::kIndex && !masker.has_index()) continue;
    const auto answers = std::make_shared<CellAnswers>(masker, row);
    questions.push_back(
        {row.asked, row.rule, [&masker, answers] { return ask_of_cells(masker, *answers); }});
    if (row.invariant != Invariant::kRepeatable) continue;
    questions.push_back({"work counts", "masker_abi.h: count_work: what the result reports",
                         [&masker, answers] { return ask_for_work(masker, *answers); }});
  }
  questions.push_back({"declared inputs",
                       "masker_abi.h: MASKERADE_DEPENDS_*: what a selection is a function of",
                       [&masker] { return ask_whether_declared_matters(masker); }});
  questions.push_back({"errors",
                       "masker_abi.h: no exception crosses the boundary; failure is a status and a "
                       "text of at most error_size bytes",
                       [&masker] { return ask_for_errors(masker); }});
}

}  // namespace maskerade::check
