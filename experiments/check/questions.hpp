// What is asked of a masker's library, one verdict a question.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/check/masker_in_hand.hpp"
#include "experiments/check/verdict.hpp"

namespace maskerade::check {

struct Question {
  std::string asked;
  std::string rule;
  std::function<Finding()> ask;
};

// What loading a library did.
struct LoadingEffect {
  double load_ms = 0;
  std::string on_process;  // see change_from()
};

// All questions about a masker, in the order in which they are asked. The masker outlives them.
std::vector<Question> questions_about(MaskerInHand& masker, const LoadingEffect& loading);

// Asks one. An exception of the program is a failure, with its text. Texts that begin with the path
// of the masker's library lose it: a report names it once.
Verdict answer_of(const Question& question, const MaskerInHand& masker);

// The parts of questions_about(), each appended to `questions`.
void add_library_questions(MaskerInHand& masker,
                           const LoadingEffect& loading,
                           std::vector<Question>& questions);
void add_parameter_questions(MaskerInHand& masker, std::vector<Question>& questions);
void add_selection_questions(MaskerInHand& masker, std::vector<Question>& questions);
void add_index_questions(MaskerInHand& masker, std::vector<Question>& questions);
void add_memory_questions(MaskerInHand& masker, std::vector<Question>& questions);

}  // namespace maskerade::check
