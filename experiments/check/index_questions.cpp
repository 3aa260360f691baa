#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/check/heap_growth.hpp"
#include "experiments/check/questions.hpp"
#include "experiments/rules/index_rules.hpp"
#include "experiments/rules/masker_rules.hpp"
#include "framework/base/error.hpp"

namespace maskerade::check {
namespace {

std::string violation_text(const rules::Violations& violations) {
  return fmt::format(
      "{}{}", rules::to_string(violations.front()),
      violations.size() == 1 ? "" : fmt::format(" ({} more)", violations.size() - 1));
}

// A problem whose second 64 keys are its first 64 again, of numbers whose sums are exact: a mean, a
// maximum or a norm of the first half is that of the whole.
struct RepeatedKeys {
  static constexpr std::int64_t kHalf = 64;

  explicit RepeatedKeys(const MaskerInHand& masker)
      : problem(masker.fitting(
            {.shape = {1, 4, 2, 5, 2 * kHalf, 16}, .kind = rules::DataKind::kTies, .seed = 3})),
        inputs(problem.inputs) {
    for (Tensor* tensor : {&problem.k, &problem.v}) {
      const TensorView view = tensor->view();
      auto* const numbers = static_cast<float*>(const_cast<void*>(view.data));
      for (std::int64_t head = 0; head < view.heads; ++head) {
        float* const keys = numbers + head * view.head_stride;
        for (std::int64_t key = 0; key < kHalf; ++key) {
          std::copy_n(keys + key * view.row_stride, view.dim,
                      keys + (kHalf + key) * view.row_stride);
        }
      }
    }
  }

  rules::RandomProblem problem;
  AttentionInputs inputs;
};

rules::Violations append_against_build(const MaskerUse& use,
                                       const AttentionInputs& inputs,
                                       std::int64_t built) {
  const Pipeline alone({use});
  return rules::check_append_is_build(
      [&](std::int64_t keys) {
        return std::make_unique<rules::GrowingPipeline>(
            alone, [&](std::int64_t count) { return rules::first_keys(inputs, count); },
            PipelineOptions{.seed = 1}, 1, keys);
      },
      {&built, 1}, inputs.shape.key_len);
}

// The masker with a budget that leaves most keys out, where it has one.
MaskerUse choosy(const MaskerInHand& masker) {
  const MaskerUse use = masker.usual().use();
  const std::optional<std::size_t> budget = rules::budget_parameter(*masker.type());
  if (!budget) return use;
  try {
    return rules::with_argument(use, *budget, "12%");
  } catch (const ParameterError&) {
    return use;
  }
}

Finding ask_for_append(MaskerInHand& masker) {
  if (!masker.why_idle().empty()) return {VerdictKind::kNotAsked, "it does not select"};
  if (!masker.goes_on("append is build")) {
    return {VerdictKind::kFailed, kEndsProcess};
  }
  const MaskerUse use = choosy(masker);
  const RepeatedKeys repeated(masker);
  const rules::Violations on_repeated =
      append_against_build(use, repeated.inputs, RepeatedKeys::kHalf);
  const rules::RandomProblem other(masker.fitting({.shape = {1, 4, 2, 5, 100, 16}, .seed = 4}));
  const rules::Violations on_other = append_against_build(use, other.inputs, 60);
  const bool says_so = masker.type()->extension<maskerade_index_extension>()->append_is_build != 0;
  if (says_so && !on_other.empty()) {
    return {VerdictKind::kFailed, fmt::format("{}, although its append_is_build says that it is",
                                              violation_text(on_other))};
  }
  if (on_repeated.empty()) {
    return {VerdictKind::kOk,
            on_other.empty()
                ? "an index over 60 keys and 40 appended selects as one over 100"
                : "as built over keys that repeat; over others not, so it fixes statistics of the "
                  "keys that it is built over, which it may"};
  }
  if (masker.type()->depends_on(MASKERADE_DEPENDS_SEED)) {
    return {VerdictKind::kNotAsked,
            "it declares the seed: what its build draws, from more keys, may differ as it may"};
  }
  return {VerdictKind::kFailed,
          fmt::format("{}, where the 64 appended keys are those built over once more, so that "
                      "statistics fixed by the build are the same",
                      violation_text(on_repeated))};
}

// What an index over the first keys says that it occupies, and what the heap grew by.
struct IndexMemory {
  std::int64_t said = 0;
  std::int64_t measured = 0;
};
IndexMemory memory_of(const MaskerUse& use, const AttentionInputs& inputs, std::int64_t keys) {
  const std::int64_t before = heap_bytes_in_use().value_or(0);
  const rules::MaskerIndex index(use, inputs, 1, keys);
  return {index.index_bytes(), heap_bytes_in_use().value_or(0) - before};
}

Finding ask_for_size(MaskerInHand& masker) {
  constexpr std::int64_t kFew = 1024;
  constexpr std::int64_t kMany = 4096;
  if (!masker.why_idle().empty()) return {VerdictKind::kNotAsked, "it does not select"};
  if (!masker.goes_on("size of an index")) return {VerdictKind::kFailed, kEndsProcess};
  const rules::RandomProblem problem(masker.fitting({.shape = {1, 1, 1, 1, kMany, 32}}));
  const MaskerUse use = masker.usual().use();
  // Once, for what is allocated once.
  memory_of(use, problem.inputs, kFew);
  const IndexMemory few = memory_of(use, problem.inputs, kFew);
  const IndexMemory many = memory_of(use, problem.inputs, kMany);
  const std::string said =
      fmt::format("{} bytes over {} keys, {} over {}", few.said, kFew, many.said, kMany);
  if (!heap_bytes_in_use()) {
    return {VerdictKind::kNotAsked, said + "; a sanitizer owns the heap, which cannot be compared"};
  }
  const std::int64_t grown = many.measured - few.measured;
  const std::int64_t claimed = many.said - few.said;
  const std::string measured =
      fmt::format("the heap holds {} more for the {} keys more", grown, kMany - kFew);
  // An allocator rounds up, and vectors grow beyond what they hold.
  const bool is_near = claimed <= 2 * grown + 4096 && grown <= 2 * claimed + 4096;
  return {is_near ? VerdictKind::kOk : VerdictKind::kWarning,
          fmt::format("{}; {}{}", said, measured,
                      is_near ? "" : "; size_bytes is what results report as the index's memory")};
}

}  // namespace

void add_index_questions(MaskerInHand& masker, std::vector<Question>& questions) {
  if (!masker.has_index()) return;
  questions.push_back({"index: append",
                       "masker_abi.h: append: keys that follow those present; statistics of the "
                       "whole sequence are fixed when it is built",
                       [&masker] { return ask_for_append(masker); }});
  questions.push_back({"index: size", "masker_abi.h: size_bytes: the bytes that the index occupies",
                       [&masker] { return ask_for_size(masker); }});
}

}  // namespace maskerade::check
