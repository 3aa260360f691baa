#pragma once

#include <cstdint>
#include <string>

#include "experiments/match/search.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade {

// Why a search cannot vary a parameter: "is a file", "takes a list", ...; "" when it can.
std::string search_obstacle(const maskerade_parameter& parameter);

// The values that a search may give a parameter, numbered in ascending order:
//   tokens         every number of keys from the parameter's minimum to key_len; where it was given
//                  as a share of the visible keys, such shares in steps of 0.000001 %
//   share          steps of 0.000001 %
//   count, blocks  every whole number up to the parameter's maximum, without one up to key_len
//   number         a millionth of its range a step
class ParameterRange {
 public:
  // given: what the pipeline says now, one value. Requires a parameter without search_obstacle.
  ParameterRange(const maskerade_parameter& parameter,
                 const maskerade_value& given,
                 std::int64_t key_len);

  SearchRange steps() const noexcept { return steps_; }
  // The value of a step as a user would write it.
  std::string text(std::int64_t step) const;

 private:
  enum class Form { kWhole, kPercentage, kPercentageOfVisible, kNumber };

  SearchRange steps_;
  Form form_ = Form::kWhole;
  double minimum_ = 0;  // of kNumber
  double width_ = 0;
};

}  // namespace maskerade
