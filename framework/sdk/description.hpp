// What a masker says of itself: its name, what it depends on, its parameter table.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

inline constexpr std::uint32_t kShape = MASKERADE_DEPENDS_SHAPE;
inline constexpr std::uint32_t kHead = MASKERADE_DEPENDS_HEAD;
inline constexpr std::uint32_t kBatch = MASKERADE_DEPENDS_BATCH;
inline constexpr std::uint32_t kSeed = MASKERADE_DEPENDS_SEED;
inline constexpr std::uint32_t kQuery = MASKERADE_DEPENDS_QUERY;
inline constexpr std::uint32_t kKey = MASKERADE_DEPENDS_KEY;
inline constexpr std::uint32_t kValue = MASKERADE_DEPENDS_VALUE;
inline constexpr std::uint32_t kActive = MASKERADE_DEPENDS_ACTIVE;

// One row of the parameter table, written as a chain:
//   tokens("window", "keys before and at the query").with_default("128")
class Parameter {
 public:
  Parameter(std::uint32_t unit, const char* name, const char* doc) {
    c_.struct_size = sizeof(c_);
    c_.unit = unit;
    c_.flags = 0;
    c_.name = name;
    c_.default_value = nullptr;
    c_.minimum = unit == MASKERADE_UNIT_NUMBER ? -kUnbounded : 0;
    c_.maximum = unit == MASKERADE_UNIT_SHARE ? 1 : kUnbounded;
    c_.choices = nullptr;
    c_.doc = doc;
  }
  // Without a default the parameter is required.
  Parameter with_default(const char* value) && { return c_.default_value = value, *this; }
  Parameter at_least(double minimum) && { return c_.minimum = minimum, *this; }
  Parameter above(double minimum) && {
    c_.flags |= MASKERADE_MINIMUM_EXCLUDED;
    return c_.minimum = minimum, *this;
  }
  Parameter at_most(double maximum) && { return c_.maximum = maximum, *this; }
  Parameter below(double maximum) && {
    c_.flags |= MASKERADE_MAXIMUM_EXCLUDED;
    return c_.maximum = maximum, *this;
  }
  Parameter affects_index() && { return c_.flags |= MASKERADE_AFFECTS_INDEX, *this; }
  Parameter makes_sampler() && { return c_.flags |= MASKERADE_MAKES_SAMPLER, *this; }
  // The two of a guarantee, and what waives it: see MASKERADE_STATES_EPSILON.
  Parameter states_epsilon() && { return c_.flags |= MASKERADE_STATES_EPSILON, *this; }
  Parameter states_delta() && { return c_.flags |= MASKERADE_STATES_DELTA, *this; }
  Parameter waives_guarantee() && { return c_.flags |= MASKERADE_WAIVES_GUARANTEE, *this; }
  // Where a sampler's candidates begin, and how many keys before the end they stop.
  Parameter population_begin() && { return c_.flags |= MASKERADE_POPULATION_BEGIN, *this; }
  Parameter population_end_offset() && {
    return c_.flags |= MASKERADE_POPULATION_END_OFFSET, *this;
  }
  Parameter list() && { return c_.flags |= MASKERADE_LIST, *this; }
  Parameter choices(std::vector<const char*> names) && {
    choices_ = std::move(names);
    choices_.push_back(nullptr);
    return *this;
  }
  // The C row; choices point into this object.
  maskerade_parameter c_row() const {
    maskerade_parameter row = c_;
    row.choices = choices_.empty() ? nullptr : choices_.data();
    return row;
  }

 private:
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  maskerade_parameter c_{};
  std::vector<const char*> choices_;
};

inline Parameter tokens(const char* name, const char* doc) {
  return {MASKERADE_UNIT_TOKENS, name, doc};
}
inline Parameter share(const char* name, const char* doc) {
  return {MASKERADE_UNIT_SHARE, name, doc};
}
inline Parameter count(const char* name, const char* doc) {
  return {MASKERADE_UNIT_COUNT, name, doc};
}
inline Parameter blocks(const char* name, const char* doc) {
  return {MASKERADE_UNIT_BLOCKS, name, doc};
}
inline Parameter number(const char* name, const char* doc) {
  return {MASKERADE_UNIT_NUMBER, name, doc};
}
inline Parameter file(const char* name, const char* doc) {
  return {MASKERADE_UNIT_FILE, name, doc};
}
inline Parameter text(const char* name, const char* doc) {
  return {MASKERADE_UNIT_TEXT, name, doc};
}
inline Parameter choice(const char* name, std::vector<const char*> names, const char* doc) {
  return Parameter(MASKERADE_UNIT_CHOICE, name, doc).choices(std::move(names));
}

// What the host and `maskerade list` know of a masker. Texts are literals.
struct Description {
  const char* id;
  const char* summary;
  const char* reference = "";
  std::uint32_t depends_on = 0;  // kShape | kQuery | ...
  std::uint32_t traits = 0;      // MASKERADE_TRAIT_SAMPLES
  std::vector<Parameter> parameters;
};

}  // namespace maskerade::sdk
