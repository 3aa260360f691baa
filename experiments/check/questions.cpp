#include "experiments/check/questions.hpp"

#include <exception>

#include "framework/base/error.hpp"

namespace maskerade::check {

std::vector<Question> questions_about(MaskerInHand& masker, const LoadingEffect& loading) {
  std::vector<Question> questions;
  add_library_questions(masker, loading, questions);
  add_parameter_questions(masker, questions);
  if (const std::string why_not = masker.why_not(); !why_not.empty()) {
    questions.push_back({"selections", "masker_abi.h: create, select, destroy", [why_not] {
                           return Finding{
                               VerdictKind::kNotAsked,
                               why_not +
                                   ": what is asked of selections, errors, an index and memory is "
                                   "asked with defaults and ranges; run an experiment that gives "
                                   "it one"};
                         }});
    return questions;
  }
  add_selection_questions(masker, questions);
  add_index_questions(masker, questions);
  add_memory_questions(masker, questions);
  return questions;
}

Verdict answer_of(const Question& question, const MaskerInHand& masker) {
  Verdict verdict{.asked = question.asked, .finding = {}, .rule = question.rule};
  try {
    verdict.finding = question.ask();
  } catch (const Error& error) {
    verdict.finding = {VerdictKind::kFailed, error.what()};
  }
  const std::string path = masker.type()->library().string() + ": ";
  std::string& reason = verdict.finding.reason;
  for (std::size_t at = reason.find(path); at != std::string::npos; at = reason.find(path)) {
    reason.erase(at, path.size());
  }
  return verdict;
}

}  // namespace maskerade::check
