#include "experiments/check/check_server.hpp"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>
#include <string>

#include "experiments/check/check_messages.hpp"
#include "experiments/check/heap_growth.hpp"
#include "experiments/check/questions.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade::check {
namespace {

// The other end has closed the channel.
struct ChannelClosed {};

std::string title_of(const MaskerType& type) {
  return fmt::format("{} ({}, ABI {}.{}, sha256 {})", type.id(), type.library().string(),
                     type.descriptor().abi_major, type.descriptor().abi_minor,
                     type.sha256().substr(0, 12));
}

}  // namespace

void serve_check(MessageChannel& channel) {
  const std::optional<std::string> setup = channel.receive();
  if (!setup) return;
  const CheckOptions options = options_of(*setup);
  use_one_heap();
  Catalog catalog;
  OpenedLibrary opened;
  LoadingEffect loading;
  const ProcessState before = ProcessState::now();
  try {
    const Stopwatch stopwatch;
    catalog.load(options.library);
    opened.load_ms = loading.load_ms = stopwatch.elapsed_ms();
  } catch (const Error& error) {
    opened.failure = error.what();
    channel.send(message_of(opened));
    return;
  }
  const std::shared_ptr<const MaskerType>& type = catalog.types().front();
  // The copy in memory that the program loads it from is open.
  ProcessState after = ProcessState::now();
  if (type->copy_descriptor() >= 0) --after.descriptors;
  loading.on_process = change_from(before, after);
  opened.title = title_of(*type);
  std::optional<MaskerInHand> in_hand;
  try {
    in_hand.emplace(type, options, [&channel](const std::string& what) {
      if (!channel.send(message_of(CheckStep{.about_to = what})) || !channel.receive()) {
        throw ChannelClosed();
      }
    });
  } catch (const ParameterError& error) {
    opened.refusal = error.what();
    channel.send(message_of(opened));
    return;
  }
  MaskerInHand& masker = *in_hand;
  const std::vector<Question> questions = questions_about(masker, loading);
  for (const Question& question : questions) {
    opened.questions.push_back({.asked = question.asked, .finding = {}, .rule = question.rule});
  }
  if (!channel.send(message_of(opened))) return;
  try {
    while (const std::optional<std::string> number = channel.receive()) {
      std::size_t asked = 0;
      std::from_chars(number->data(), number->data() + number->size(), asked);
      channel.send(message_of(
          CheckStep{.is_done = true, .verdict = answer_of(questions.at(asked), masker)}));
    }
  } catch (const ChannelClosed&) {
  }
}

}  // namespace maskerade::check
