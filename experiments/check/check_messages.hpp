#pragma once

#include <string>
#include <vector>

#include "experiments/check/masker_in_hand.hpp"
#include "experiments/check/verdict.hpp"

// What the program and the process that asks a masker say to each other: first the setup and what
// was opened, then, for one question after the other, its number and what comes of it. Each message
// is the bytes of a struct; reading throws Error on others.
namespace maskerade::check {

std::string message_of(const CheckOptions& options);
CheckOptions options_of(const std::string& message);

// The library in that process.
struct OpenedLibrary {
  std::string failure;  // why it is not loaded; "" it is
  std::string refusal;  // what the user gave and its table does not accept; "" nothing
  double load_ms = 0;
  std::string title;  // "my_band (/x/my_band.so, ABI 1.3, sha256 ...)"
  // What will be asked, and the rules.
  std::vector<Verdict> questions;
};
std::string message_of(const OpenedLibrary& opened);
OpenedLibrary opened_of(const std::string& message);

// The answer to the number of a question: the verdict, or first what is about to be done for it,
// which waits for a message of any kind.
struct CheckStep {
  bool is_done = false;
  std::string about_to;  // unless it is done
  Verdict verdict = {};  // where it is
};
std::string message_of(const CheckStep& step);
CheckStep step_of(const std::string& message);

}  // namespace maskerade::check
