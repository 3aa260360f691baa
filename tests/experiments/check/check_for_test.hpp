#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/check/questions.hpp"

namespace maskerade::check {

// What is said of a library, asked in this process.
inline std::vector<Verdict> check(const std::filesystem::path& library,
                                  std::int64_t cells,
                                  const stress::GivenOfCells& given = {}) {
  Catalog catalog;
  catalog.load(library);
  MaskerInHand masker(catalog.types().front(),
                      {.library = library.string(), .cells = cells, .given = given}, {});
  std::vector<Verdict> verdicts;
  for (const Question& question : questions_about(masker, {})) {
    verdicts.push_back(answer_of(question, masker));
  }
  return verdicts;
}

// What was asked and has that answer.
inline std::vector<std::string> asked_with(VerdictKind kind, const std::vector<Verdict>& verdicts) {
  std::vector<std::string> asked;
  for (const Verdict& verdict : verdicts) {
    if (verdict.finding.kind == kind) asked.push_back(verdict.asked);
  }
  return asked;
}

inline Verdict verdict_about(const std::string& asked, const std::vector<Verdict>& verdicts) {
  const auto found = std::find_if(verdicts.begin(), verdicts.end(),
                                  [&](const Verdict& one) { return one.asked == asked; });
  return found == verdicts.end() ? Verdict{.asked = "nobody asked for " + asked} : *found;
}

}  // namespace maskerade::check
