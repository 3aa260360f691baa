#include "experiments/check/masker_in_hand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/pipeline/loaded_masker.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/parameters.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade::check {
namespace {

// The row of a masker's table. Throws ParameterError where it has none of that name.
const maskerade_parameter& row_of(const MaskerType& type, const std::string& name) {
  const maskerade_masker_descriptor& descriptor = type.descriptor();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    if (descriptor.parameters[i].name == name) return descriptor.parameters[i];
    names.emplace_back(descriptor.parameters[i].name);
  }
  throw ParameterError(name, fmt::format("\"{}\" has no parameter \"{}\"{}", type.id(), name,
                                         name_hint(name, names)));
}

}  // namespace

MaskerInHand::MaskerInHand(std::shared_ptr<const MaskerType> type,
                           CheckOptions options,
                           Progress progress)
    : type_(std::move(type)), options_(std::move(options)), progress_(std::move(progress)) {
  for (GivenParameter& given : options_.given.parameters) {
    const maskerade_parameter& row = row_of(*type_, given.name);
    if (row.unit == MASKERADE_UNIT_FILE) {
      for (std::string& file : given.values) file = std::filesystem::absolute(file).string();
    }
    maskerade_masker_descriptor only = type_->descriptor();
    only.parameters = &row;
    only.parameter_count = 1;
    bind_arguments(only, {given});
  }
}

bool MaskerInHand::goes_on(const std::string& what) const {
  if (options_.deadly.contains(what)) return false;
  if (progress_) progress_(what);
  return true;
}

stress::GivenMasker MaskerInHand::usual() const {
  stress::GivenMasker masker{.type = type_, .given = options_.given.parameters};
  const maskerade_masker_descriptor& descriptor = type_->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    if (is_given(row.name) || row.default_value != nullptr) continue;
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

bool MaskerInHand::is_given(const std::string& parameter) const {
  const std::vector<GivenParameter>& given = options_.given.parameters;
  return std::any_of(given.begin(), given.end(),
                     [&](const GivenParameter& one) { return one.name == parameter; });
}

bool MaskerInHand::reads_given_file() const {
  const std::vector<GivenParameter>& given = options_.given.parameters;
  return std::any_of(given.begin(), given.end(), [&](const GivenParameter& one) {
    return row_of(*type_, one.name).unit == MASKERADE_UNIT_FILE;
  });
}

std::vector<rules::ProblemSpec> MaskerInHand::small_problems() const {
  std::vector<rules::ProblemSpec> problems = {
      {.shape = {1, 4, 2, 40, 130, 64}, .causal = true},
      {.shape = {2, 4, 2, 1, 130, 16}, .dtype = DType::kBFloat16},
      {.shape = {1, 1, 1, 1, 1, 8}, .causal = true}};
  if (const auto& shape = options_.given.shape) {
    problems = {{.shape = *shape, .causal = shape->query_len <= shape->key_len},
                {.shape = *shape, .dtype = DType::kBFloat16}};
  }
  for (rules::ProblemSpec& problem : problems) problem.layer = options_.given.layer;
  return problems;
}

rules::ProblemSpec MaskerInHand::fitting(rules::ProblemSpec problem) const {
  if (const auto& given = options_.given.shape) {
    problem.shape.query_heads = given->query_heads;
    problem.shape.kv_heads = given->kv_heads;
    problem.shape.head_dim = given->head_dim;
  }
  problem.layer = options_.given.layer;
  return problem;
}

const std::string& MaskerInHand::why_idle() {
  if (why_idle_) return *why_idle_;
  why_idle_ = "";
  for (const rules::ProblemSpec& problem : small_problems()) {
    why_idle_ = attempt(usual(), problem).text;
    if (why_idle_->empty()) break;
  }
  return *why_idle_;
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
    attempt.text = kEndsProcess;
  }
  attempts_.push_back(std::move(attempt));
  return attempts_.back();
}

const std::vector<stress::CheckedCell>& MaskerInHand::cells() {
  if (cells_) return *cells_;
  const stress::CellPopulation population{
      .seed = options_.seed, .maskers = {{.type = type_}}, .given = options_.given};
  stress::SelectingOnly selecting;
  std::vector<stress::CheckedCell> cells;
  for (std::int64_t number = 0; number < options_.cells; ++number) {
    if (goes_on(command_of(number))) {
      cells.push_back(stress::draw_and_check(population, number, selecting));
    } else {
      cells.push_back(
          {.number = number, .row = type_->id(), .refusals = 1, .refusal = kEndsProcess});
    }
  }
  cells_ = std::move(cells);
  return *cells_;
}

stress::CellOrigin MaskerInHand::origin_of(std::int64_t cell) const {
  return {.seed = options_.seed,
          .number = cell,
          .arguments = fmt::format(" --maskers {} --plugin {}{}", type_->id(), options_.library,
                                   stress::arguments_of(options_.given))};
}

bool breaks_rule_of_errors(const std::string& text) {
  return names_misconduct(text) || text.find(ErrorText::overrun()) != std::string::npos ||
         text.ends_with(LoadedMasker::kNoReason);
}

}  // namespace maskerade::check
