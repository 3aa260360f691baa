#include "experiments/check/masker_in_hand.hpp"

#include <fmt/format.h>

#include <utility>

#include "experiments/stress/reproduction.hpp"
#include "framework/base/error.hpp"
#include "framework/pipeline/loaded_masker.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade::check {

MaskerInHand::MaskerInHand(std::shared_ptr<const MaskerType> type,
                           CheckOptions options,
                           Progress progress)
    : type_(std::move(type)), options_(std::move(options)), progress_(std::move(progress)) {}

bool MaskerInHand::goes_on(const std::string& what) const {
  if (options_.deadly.contains(what)) return false;
  if (progress_) progress_(what);
  return true;
}

stress::GivenMasker MaskerInHand::usual() const {
  stress::GivenMasker masker{.type = type_, .given = {}};
  const maskerade_masker_descriptor& descriptor = type_->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    if (row.default_value != nullptr) continue;
    const std::vector<std::string> values = stress::candidate_values(row);
    masker.given.push_back({.name = row.name,
                            .values = {values.at(values.size() / 2)},
                            .is_list = (row.flags & MASKERADE_LIST) != 0});
  }
  return masker;
}

stress::GivenMasker MaskerInHand::usual_with(const GivenParameter& given) const {
  stress::GivenMasker masker = usual();
  std::erase_if(masker.given, [&](const GivenParameter& one) { return one.name == given.name; });
  masker.given.push_back(given);
  return masker;
}

const std::vector<rules::ProblemSpec>& MaskerInHand::small_problems() {
  static const std::vector<rules::ProblemSpec> problems = {
      {.shape = {1, 4, 2, 40, 130, 64}, .causal = true},
      {.shape = {2, 4, 2, 1, 130, 16}, .dtype = DType::kBFloat16},
      {.shape = {1, 1, 1, 1, 1, 8}, .causal = true}};
  return problems;
}

const Attempt& MaskerInHand::attempt(const stress::GivenMasker& given,
                                     const rules::ProblemSpec& problem) {
  const MaskerUse use = given.use();
  Attempt attempt{.what = fmt::format("{} on {}", given.to_yaml(), rules::to_string(problem)),
                  .text = {}};
  // What ends the process on one problem is tried on no other.
  if (goes_on(given.to_yaml())) {
    try {
      const stress::StressProblem made(problem);
      const Threads threads(1);
      Pipeline({use}).prepare(made.inputs, {.seed = options_.seed}, threads).select(threads);
    } catch (const Error& refusal) {
      attempt.text = refusal.what();
    }
  } else {
    attempt.text = "it ends the process";
  }
  attempts_.push_back(std::move(attempt));
  return attempts_.back();
}

const std::vector<stress::DrawnCell>& MaskerInHand::cells() {
  if (cells_) return *cells_;
  std::vector<stress::DrawnCell> cells;
  for (std::int64_t number = 0; number < options_.cells; ++number) {
    if (goes_on(command_of(number))) {
      cells.push_back(stress::draw_cell(options_.seed, number, {type_}));
    } else {
      cells.push_back({.cell = std::nullopt,
                       .subject = type_->id(),
                       .refusals = 1,
                       .refusal = "it ends the process"});
    }
  }
  cells_ = std::move(cells);
  return *cells_;
}

std::string MaskerInHand::command_of(std::int64_t cell) const {
  return stress::CellOrigin{
      .seed = options_.seed,
      .number = cell,
      .arguments = fmt::format(" --maskers {} --plugin {}", type_->id(), options_.library)}
      .command();
}

bool breaks_rule_of_errors(const std::string& text) {
  return names_misconduct(text) || text.find(ErrorText::overrun()) != std::string::npos ||
         text.ends_with(LoadedMasker::kNoReason);
}

}  // namespace maskerade::check
