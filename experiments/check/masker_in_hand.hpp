#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "experiments/check/process_state.hpp"
#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/reproduction.hpp"
#include "experiments/stress/stress_cell.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::check {

struct CheckOptions {
  std::string library;  // as the user wrote it, for commands
  std::uint64_t seed = 1;
  std::int64_t cells = 40;
  stress::GivenOfCells given = {};  // arguments of the masker, one value each, and a shape
  std::string folder;               // for the files of failures; "": none
  std::map<std::string, std::string> other_maskers;  // libraries by the id of their masker
  // What an earlier process did when it ended (see MaskerInHand::goes_on): it is left out.
  std::set<std::string> deadly;
};

// What stands for the refusal of what ended an earlier process.
inline constexpr const char* kEndsProcess = "it ends the process";

// One call of the masker that was tried, for the errors that it gives.
struct Attempt {
  std::string what;  // "with {window: 0} on (1, 4, 2, ...)"
  std::string text;  // of the refusal; "" it selected
};

// The masker that is checked, with what several questions ask of it. [one thread]
class MaskerInHand {
 public:
  // Is told what is about to be done, before each thing that may end the process.
  using Progress = std::function<void(const std::string&)>;

  // Throws ParameterError where the masker's table does not accept what is given.
  MaskerInHand(std::shared_ptr<const MaskerType> type, CheckOptions options, Progress progress);

  const std::shared_ptr<const MaskerType>& type() const noexcept { return type_; }
  const CheckOptions& options() const noexcept { return options_; }
  bool has_index() const noexcept {
    return type_->extension<maskerade_index_extension>() != nullptr;
  }

  // Says that `what` is about to be done, and whether it shall be.
  bool goes_on(const std::string& what) const;

  // Why the masker cannot be given arguments without the user's help; "" it can.
  std::string why_not() const { return stress::why_left_out(*type_, options_.given); }
  // What is given, else its defaults, and of required parameters a value in the middle of what may
  // be drawn. Requires that there is no why_not().
  stress::GivenMasker usual() const;
  // The same with one parameter's values.
  stress::GivenMasker usual_with(const GivenParameter& given) const;

  bool is_given(const std::string& parameter) const;
  // Whether one of its parameters is a file that is given.
  bool reads_given_file() const;

  // The problems that arguments are tried on: prefill, decode, one key; of the given shape and
  // layer where there are.
  std::vector<rules::ProblemSpec> small_problems() const;
  // The problem, with the heads and the head_dim of the given shape where there is one, and with
  // the given layer.
  rules::ProblemSpec fitting(rules::ProblemSpec problem) const;
  // Why it selects on none of the small problems with its usual arguments; "" it does on one.
  const std::string& why_idle();
  // Selects once with what is given on a problem, and keeps what came of it. Throws ParameterError
  // where the masker's table refuses what is given.
  const Attempt& attempt(const stress::GivenMasker& given, const rules::ProblemSpec& problem);
  // Keeps a call that failed otherwise.
  void keep(Attempt attempt) { attempts_.push_back(std::move(attempt)); }
  const std::vector<Attempt>& attempts() const noexcept { return attempts_; }

  // The cells of the seed, which are about the masker alone; drawn once.
  const std::vector<stress::CheckedCell>& cells();
  // What draws one of them again.
  stress::CellOrigin origin_of(std::int64_t cell) const;
  std::string command_of(std::int64_t cell) const { return origin_of(cell).command(); }

 private:
  std::shared_ptr<const MaskerType> type_;
  CheckOptions options_;
  Progress progress_;
  std::vector<Attempt> attempts_;
  std::optional<std::vector<stress::CheckedCell>> cells_;
  std::optional<std::string> why_idle_;
};

// Whether the text of a refusal says that a function of the masker broke a rule of errors: it
// threw, changed how its thread computes, wrote behind its text buffer, or gave no reason.
bool breaks_rule_of_errors(const std::string& text);

}  // namespace maskerade::check
