#include "experiments/stress/worker_checker.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "experiments/stress/cell_messages.hpp"
#include "framework/base/error.hpp"

namespace maskerade::stress {
namespace {

using Answer = WorkerProcess::Answer;
using Ending = WorkerProcess::Ending;

rules::Violations violation_of(const Ending& ending) {
  return {{"the process lives on", {}, "its worker " + ending.text}};
}

// The cell of the masker that was at work when the process ended, which the ending names; the whole
// cell where that names none of its maskers.
CellFailure failure_of(const Ending& ending, const StressCell& cell) {
  CellFailure failure{Invariant::kSurvives, cell, violation_of(ending)};
  for (std::size_t count = 1; count <= cell.maskers.size(); ++count) {
    const std::string name = "masker \"" + cell.maskers[count - 1].type->id() + "\"";
    if (ending.text.find(name) == std::string::npos) continue;
    failure.cell = cell.first_maskers(count);
    break;
  }
  return failure;
}

}  // namespace

WorkerChecker::WorkerChecker(WorkerSetup setup,
                             WorkerLimits limits,
                             std::function<bool()> is_stopped)
    : setup_(std::move(setup)), limits_(std::move(limits)), is_stopped_(std::move(is_stopped)) {}

std::variant<Answer, Ending> WorkerChecker::ask(const std::string& request) {
  if (worker_ == nullptr) {
    worker_ = std::make_unique<WorkerProcess>(setup_, is_stopped_);
    const auto answer = worker_->await_ready();
    std::string failure;
    if (const auto* ending = std::get_if<Ending>(&answer)) {
      failure = "it " + ending->text;
    } else {
      failure = ready_of(std::get<Answer>(answer).message).failure;
    }
    if (!failure.empty()) {
      worker_.reset();
      throw Error("no worker can be started: " + failure);
    }
  }
  auto answer = worker_->ask(request, limits_);
  if (std::holds_alternative<Ending>(answer)) worker_.reset();
  return answer;
}

CellOutcome WorkerChecker::check(const StressCell& cell) {
  const auto answer = ask(message_of(CheckRequest{.cell = cell}));
  if (const auto* ending = std::get_if<Ending>(&answer)) {
    return {
        .refusal = "", .checked = {Invariant::kSurvives}, .failures = {failure_of(*ending, cell)}};
  }
  CellOutcome outcome = outcome_of(std::get<Answer>(answer).message, cell);
  if (outcome.refusal.empty()) {
    outcome.checked.insert(outcome.checked.begin(), Invariant::kSurvives);
  }
  return outcome;
}

std::optional<rules::Violations> WorkerChecker::check(Invariant invariant, const StressCell& cell) {
  if (invariant == Invariant::kSurvives) {
    const CellOutcome outcome = check(cell);
    const auto died =
        std::find_if(outcome.failures.begin(), outcome.failures.end(),
                     [](const auto& failure) { return failure.invariant == Invariant::kSurvives; });
    return died == outcome.failures.end() ? rules::Violations() : died->violations;
  }
  const auto answer = ask(message_of(CheckRequest{.cell = cell, .invariant = invariant}));
  // One that ends breaks another invariant.
  if (std::holds_alternative<Ending>(answer)) return std::nullopt;
  return found_of(std::get<Answer>(answer).message);
}

void serve_checks(const Catalog& catalog, const Catalog& references, MessageChannel& channel) {
  while (const std::optional<std::string> message = channel.receive()) {
    const CheckRequest request = request_of(*message, catalog, references);
    const std::string answer = request.invariant
                                   ? message_of(check_invariant(*request.invariant, request.cell))
                                   : message_of(check_cell(request.cell));
    if (!channel.send(answer)) return;
  }
}

}  // namespace maskerade::stress
