#include "experiments/check/checked_library.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <utility>
#include <variant>

#include "experiments/check/check_messages.hpp"
#include "experiments/worker/worker_process.hpp"
#include "framework/base/error.hpp"
#include "framework/plugin/library_file.hpp"
#include "framework/plugin/loaded_library.hpp"

namespace maskerade::check {
namespace {

constexpr int kMostEnds = 3;
constexpr const char* kLoadingRule =
    "masker_abi.h: maskerade_masker_entry: the library exports it, and the descriptor is whole";

WorkerLimits limits() {
  return {.timeout_ms = 60'000,
          .growth_bytes = std::int64_t{2'000'000'000},
          .timeout_name = "a step may take",
          .growth_name = "a question may take"};
}

void require_library(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw PluginError(path, "there is no such file; give the path of a masker library (*.so)");
  }
  if (!std::filesystem::is_regular_file(path, ignored) || !is_library(read_library(path))) {
    throw PluginError(path, "is not a shared library; give the path of a masker library (*.so)");
  }
}

// The process that asks, replaced when it has ended.
class AskingProcess {
 public:
  AskingProcess(CheckOptions options, std::function<bool()> is_stopped)
      : options_(std::move(options)), is_stopped_(std::move(is_stopped)) {}

  // Opens the library; an Ending is told as its failure.
  OpenedLibrary open() {
    process_ =
        std::make_unique<WorkerProcess>(std::vector<std::string>{"worker", "--check"}, is_stopped_);
    const auto answer = process_->ask(message_of(options_), limits());
    if (const auto* ending = std::get_if<WorkerProcess::Ending>(&answer)) {
      process_.reset();
      return {.failure = fmt::format("the process that loads it {}", ending->text)};
    }
    OpenedLibrary opened = opened_of(std::get<WorkerProcess::Answer>(answer).message);
    // Then it asks nothing.
    if (!opened.failure.empty() || !opened.refusal.empty()) process_.reset();
    return opened;
  }
  // Asks a question to its end. Where the masker ends the process, the question fails, and is asked
  // again in another without what ended it, so that the following ones know of it.
  Verdict ask(std::size_t number, const Verdict& question) {
    std::string endings;
    for (;;) {
      if (process_ == nullptr && (ends_ >= kMostEnds || !reopens())) break;
      std::string about_to;
      auto answer = process_->ask(std::to_string(number), limits());
      while (const auto* said = std::get_if<WorkerProcess::Answer>(&answer)) {
        CheckStep step = step_of(said->message);
        if (step.is_done && endings.empty()) return std::move(step.verdict);
        if (step.is_done) return failed(question, endings);
        about_to = step.about_to;
        answer = process_->ask("go on", limits());
      }
      ++ends_;
      process_.reset();
      endings += fmt::format("{}its process {}{}", endings.empty() ? "" : "; ",
                             std::get<WorkerProcess::Ending>(answer).text,
                             about_to.empty() ? "" : fmt::format(", at: {}", about_to));
      if (about_to.empty()) return failed(question, endings);
      options_.deadly.insert(about_to);
    }
    if (!endings.empty()) return failed(question, endings);
    return {.asked = question.asked,
            .finding = {VerdictKind::kNotAsked,
                        fmt::format("the masker has ended {} processes; mend that first", ends_)},
            .rule = question.rule};
  }

 private:
  bool reopens() {
    open();
    return process_ != nullptr;
  }
  static Verdict failed(const Verdict& question, const std::string& endings) {
    return {
        .asked = question.asked, .finding = {VerdictKind::kFailed, endings}, .rule = question.rule};
  }

  CheckOptions options_;
  std::function<bool()> is_stopped_;
  std::unique_ptr<WorkerProcess> process_;
  int ends_ = 0;
};

}  // namespace

CheckedLibrary check_library(const CheckOptions& options,
                             const std::function<bool()>& is_stopped,
                             const Asking& asking) {
  require_library(options.library);
  AskingProcess process(options, is_stopped);
  asking("library");
  const OpenedLibrary opened = process.open();
  if (!opened.failure.empty()) {
    return {.title = options.library,
            .verdicts = {{.asked = "library",
                          .finding = {VerdictKind::kFailed, opened.failure},
                          .rule = kLoadingRule}}};
  }
  if (!opened.refusal.empty()) throw ConfigError({}, "--set: " + opened.refusal);
  CheckedLibrary checked{.title = opened.title, .verdicts = {}};
  checked.verdicts.push_back({.asked = "library",
                              .finding = {VerdictKind::kOk,
                                          "loaded in a process of its own; its descriptor and its "
                                          "parameter table agree with themselves"},
                              .rule = kLoadingRule});
  for (std::size_t i = 0; i < opened.questions.size(); ++i) {
    asking(opened.questions[i].asked);
    checked.verdicts.push_back(process.ask(i, opened.questions[i]));
  }
  return checked;
}

}  // namespace maskerade::check
