#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/check/heap_growth.hpp"
#include "experiments/check/process_state.hpp"
#include "experiments/check/questions.hpp"
#include "experiments/rules/index_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/pipeline/loaded_masker.hpp"

namespace maskerade::check {
namespace {

// A problem on which the masker selects with its usual arguments, or nullptr.
std::unique_ptr<stress::StressProblem> fitting_problem(MaskerInHand& masker) {
  for (const rules::ProblemSpec& problem : masker.small_problems()) {
    if (masker.attempt(masker.usual(), problem).text.empty()) {
      return std::make_unique<stress::StressProblem>(problem);
    }
  }
  return nullptr;
}

// Asks what `round_of(problem)` leaves behind when it is done again and again.
template <typename RoundOf>
Finding ask_for_growth(MaskerInHand& masker, const char* what, RoundOf&& round_of) {
  if (!heap_bytes_in_use()) {
    return {VerdictKind::kNotAsked,
            "sanitizers own the heap of this program, and report leaks by themselves"};
  }
  const auto problem = fitting_problem(masker);
  if (!problem) return {VerdictKind::kNotAsked, "it does not select"};
  if (!masker.goes_on(std::string("memory of ") + what)) {
    return {VerdictKind::kFailed, kEndsProcess};
  }
  const HeapGrowth growth = heap_growth(round_of(*problem)).value();
  if (growth.is_leak()) {
    return {VerdictKind::kFailed,
            fmt::format("{} rounds of {} left {} bytes behind, {:.0f} a round", growth.rounds, what,
                        growth.bytes,
                        static_cast<double>(growth.bytes) / static_cast<double>(growth.rounds))};
  }
  return {VerdictKind::kOk,
          fmt::format("{} rounds of {} left {} bytes behind", growth.rounds, what, growth.bytes)};
}

Finding ask_about_instances(MaskerInHand& masker) {
  return ask_for_growth(
      masker, "create and destroy", [&masker](const stress::StressProblem& problem) {
        return [use = masker.usual().use(), &problem, seed = masker.options().seed] {
          const LoadedMasker made(use, problem.inputs, seed, 0);
        };
      });
}

Finding ask_about_selections(MaskerInHand& masker) {
  return ask_for_growth(masker, "select", [&masker](const stress::StressProblem& problem) {
    const auto threads = std::make_shared<const Threads>(1);
    const auto prepared = std::make_shared<const PreparedPipeline>(
        Pipeline({masker.usual().use()})
            .prepare(problem.inputs, {.seed = masker.options().seed}, *threads));
    return [threads, prepared] { prepared->select(*threads); };
  });
}

Finding ask_about_indexes(MaskerInHand& masker) {
  return ask_for_growth(masker, "build, append, truncate and destroy",
                        [&masker](const stress::StressProblem& problem) {
                          return
                              [use = masker.usual().use(), &problem, seed = masker.options().seed] {
                                const std::int64_t keys = problem.inputs.shape.key_len;
                                rules::MaskerIndex index(use, problem.inputs, seed, keys);
                                index.truncate((keys + 1) / 2);
                                index.append(keys);
                              };
                        });
}

Finding ask_what_is_left(const ProcessState& before) {
  const std::string change = change_from(before, ProcessState::now());
  if (change.empty()) {
    return {VerdictKind::kOk, "no handler of a signal, no thread, no open file, the same folder"};
  }
  return {VerdictKind::kFailed,
          fmt::format("all instances are destroyed, and it leaves {} behind", change)};
}

}  // namespace

void add_memory_questions(MaskerInHand& masker, std::vector<Question>& questions) {
  constexpr const char* kRule =
      "masker_abi.h: what one side allocates, that side frees; destroy() gets back each instance";
  questions.push_back(
      {"memory: instances", kRule, [&masker] { return ask_about_instances(masker); }});
  questions.push_back(
      {"memory: selections", kRule, [&masker] { return ask_about_selections(masker); }});
  if (masker.has_index()) {
    questions.push_back(
        {"memory: indexes", kRule, [&masker] { return ask_about_indexes(masker); }});
  }
  questions.push_back({"left behind", "README.md of the SDK: what a plugin must leave alone",
                       [before = ProcessState::now()] { return ask_what_is_left(before); }});
}

}  // namespace maskerade::check
