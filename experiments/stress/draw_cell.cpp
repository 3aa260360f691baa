#include "experiments/stress/draw_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "framework/sdk/dependencies.hpp"

namespace maskerade::stress {
namespace {

// The most entries of a problem's masks, and the most products q[d] k[d] of its logits: with them a
// cell takes a tenth of a second.
constexpr std::int64_t kMostEntries = 16'000;
constexpr std::int64_t kMostProducts = std::int64_t{1} << 21;

// A stream of random choices.
class Draw {
 public:
  Draw(std::uint64_t seed, std::int64_t number, int attempt) {
    std::seed_seq words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                        static_cast<std::uint32_t>(number),
                        static_cast<std::uint32_t>(number >> 32),
                        static_cast<std::uint32_t>(attempt)};
    engine_.seed(words);
  }
  std::uint64_t word() { return engine_(); }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <typename Value>
  Value of(const std::vector<Value>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

bool is_in_range(const maskerade_parameter& row, double value) {
  const bool above =
      (row.flags & MASKERADE_MINIMUM_EXCLUDED) != 0 ? value > row.minimum : value >= row.minimum;
  const bool below =
      (row.flags & MASKERADE_MAXIMUM_EXCLUDED) != 0 ? value < row.maximum : value <= row.maximum;
  return above && below;
}

// Those of `values`, and the bounds where they are no larger than a check can bear, that the table
// accepts; as texts. Empty where it accepts none.
std::vector<std::string> numbers_in_range(const maskerade_parameter& row,
                                          std::vector<double> values) {
  const double largest = *std::max_element(values.begin(), values.end());
  for (const double bound : {row.minimum, row.maximum}) {
    if (std::abs(bound) <= largest) values.push_back(bound);
  }
  std::vector<std::string> texts;
  for (const double value : values) {
    if (is_in_range(row, value)) texts.push_back(fmt::format("{}", value));
  }
  return texts;
}

std::vector<std::string> whole_in_range(const maskerade_parameter& row,
                                        std::vector<std::int64_t> values) {
  // A table with a large minimum has that one value.
  if (row.minimum > 0 && row.minimum < 1e6) {
    values.push_back(static_cast<std::int64_t>(std::ceil(row.minimum)));
  }
  if (row.maximum < 1e3) values.push_back(static_cast<std::int64_t>(std::floor(row.maximum)));
  std::vector<std::string> texts;
  for (const std::int64_t value : values) {
    if (is_in_range(row, static_cast<double>(value))) texts.push_back(fmt::to_string(value));
  }
  return texts;
}

}  // namespace

std::vector<std::string> candidate_values(const maskerade_parameter& row) {
  switch (row.unit) {
    case MASKERADE_UNIT_TOKENS: {
      std::vector<std::string> texts = whole_in_range(row, {0, 1, 2, 7, 16, 63, 64, 65, 150, 600});
      for (const char* share : {"0.5%", "1%", "5%", "10%", "50%", "100%"}) {
        texts.emplace_back(share);
        texts.push_back(std::string(share) + " of visible");
      }
      if (row.minimum <= 0) texts.emplace_back("0%");
      return texts;
    }
    case MASKERADE_UNIT_SHARE:
      return numbers_in_range(row, {0, 0.01, 0.05, 0.1, 0.5, 0.9, 0.99, 1});
    case MASKERADE_UNIT_COUNT:
    case MASKERADE_UNIT_BLOCKS:
      return whole_in_range(row, {0, 1, 2, 3, 4, 5, 8, 16, 20, 64, 100});
    case MASKERADE_UNIT_NUMBER:
      return numbers_in_range(row, {0, 0.001, 0.1, 0.3, 0.5, 0.95, 1, 2.5, 10});
    case MASKERADE_UNIT_CHOICE: {
      std::vector<std::string> texts;
      for (const char* const* choice = row.choices; *choice != nullptr; ++choice) {
        texts.emplace_back(*choice);
      }
      return texts;
    }
    default:
      return {};
  }
}

namespace {

const GivenParameter* find_given(const GivenOfCells& given, const char* name) {
  const auto found = std::find_if(given.parameters.begin(), given.parameters.end(),
                                  [&](const GivenParameter& one) { return one.name == name; });
  return found == given.parameters.end() ? nullptr : &*found;
}

GivenMasker draw_masker(const StressMasker& drawn, const GivenOfCells& given, Draw& draw) {
  GivenMasker masker{.type = drawn.type, .given = {}, .reference = drawn.reference};
  const maskerade_masker_descriptor& descriptor = drawn.type->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    if (const GivenParameter* stated = find_given(given, row.name)) {
      masker.given.push_back(*stated);
      continue;
    }
    if (row.default_value != nullptr && draw.one_in(2)) continue;
    const std::vector<std::string> candidates = candidate_values(row);
    if (candidates.empty()) continue;
    GivenParameter parameter{.name = row.name, .values = {draw.of(candidates)}};
    if ((row.flags & MASKERADE_LIST) != 0) {
      parameter.is_list = true;
      while (parameter.values.size() < 3 && draw.one_in(2)) {
        parameter.values.push_back(draw.of(candidates));
      }
    }
    masker.given.push_back(std::move(parameter));
  }
  return masker;
}

// Problems that are too large lose batch entries, then heads, then dimensions, and only at last
// queries and keys: on their numbers depend chunks, tiles and pages.
rules::ProblemSpec draw_small_problem(const GivenOfCells& given, Draw& draw) {
  for (;;) {
    rules::ProblemSpec spec = rules::draw_problem(draw.word());
    spec.layer = given.layer;
    if (given.shape) {
      spec.shape = *given.shape;
      spec.causal = spec.causal && spec.shape.query_len <= spec.shape.key_len;
      return spec;
    }
    AttentionShape& shape = spec.shape;
    const auto is_small = [&] {
      const std::int64_t entries = shape.rows() * shape.key_len;
      return entries <= kMostEntries && entries * shape.head_dim <= kMostProducts;
    };
    if (!is_small()) shape.batch = 1;
    if (!is_small()) {
      shape.query_heads = shape.group_size();
      shape.kv_heads = 1;
    }
    if (!is_small()) shape.head_dim = 8;
    if (!is_small()) shape.query_heads = 1;
    if (is_small()) return spec;
  }
}

StressCell draw_once(const CellPopulation& population, const StressMasker& subject, Draw& draw) {
  StressCell cell;
  const std::size_t before = draw.below(4);
  for (std::size_t i = 0; i < before; ++i) {
    cell.maskers.push_back(draw_masker(draw.of(population.maskers), population.given, draw));
  }
  cell.maskers.push_back(draw_masker(subject, population.given, draw));
  cell.problem = draw_small_problem(population.given, draw);
  if (draw.one_in(3)) cell.previous = rules::PreviousMask::kMixed;
  cell.mask_seed = draw.word() >> 32;
  cell.threads = std::min(draw.of<int>({1, 2, 3, 4}), population.most_threads);
  cell.chunk_rows = draw.of<std::int64_t>({1, 7, 64, 100, 1024});
  cell.device = draw.of(population.devices);
  return cell;
}

// Whether a masker may have been refused, with that text, something that it has not declared.
bool asks_for_undeclared(const MaskerType& type, const std::string& text) {
  for (const sdk::Dependency& one : sdk::kDependencies) {
    if (!type.depends_on(one.flag) && sdk::names_undeclared(text, one) &&
        text.find("\"" + type.id() + "\"") != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string arguments_of(const GivenOfCells& given) {
  std::string text;
  for (const GivenParameter& parameter : given.parameters) {
    text += fmt::format(" --set {}={}", parameter.name, parameter.values.front());
  }
  if (given.shape) {
    const AttentionShape& shape = *given.shape;
    text += fmt::format(" --shape {},{},{},{},{},{}", shape.batch, shape.query_heads,
                        shape.kv_heads, shape.query_len, shape.key_len, shape.head_dim);
  }
  if (given.layer != 0) text += fmt::format(" --layer {}", given.layer);
  return text;
}

std::string why_left_out(const MaskerType& type, const GivenOfCells& given) {
  const maskerade_masker_descriptor& descriptor = type.descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    if (row.default_value == nullptr && candidate_values(row).empty() &&
        find_given(given, row.name) == nullptr) {
      return fmt::format("\"{}\" has no default", row.name);
    }
  }
  return "";
}

CheckedCell draw_and_check(const CellPopulation& population,
                           std::int64_t number,
                           CellChecker& checker) {
  const auto place = static_cast<std::size_t>(number) % population.maskers.size();
  const StressMasker& subject = population.maskers[place];
  CheckedCell checked{.number = number, .row = subject.type->id()};
  for (int attempt = 0; attempt < kMostDraws; ++attempt) {
    Draw draw(population.seed, number, attempt);
    StressCell cell = draw_once(population, subject, draw);
    CellOutcome outcome = checker.check(cell);
    if (outcome.refusal.empty()) {
      checked.cell = std::move(cell);
      checked.outcome = std::move(outcome);
      return checked;
    }
    for (const GivenMasker& masker : cell.maskers) {
      if (!asks_for_undeclared(*masker.type, outcome.refusal)) continue;
      StressCell alone = cell;
      alone.maskers = {masker};
      alone.previous = rules::PreviousMask::kNone;
      checked.outcome = checker.check(alone);
      checked.cell = std::move(alone);
      return checked;
    }
    ++checked.refusals;
    checked.refusal = outcome.refusal;
  }
  return checked;
}

}  // namespace maskerade::stress
