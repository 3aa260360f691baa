#pragma once

#include <cstdint>
#include <string>

#include "experiments/match/search.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade {

// Why a search cannot vary a parameter, as the end of a sentence about it: "is a file", "takes a
// list". "": a search can vary it.
std::string search_obstacle(const maskerade_parameter& parameter);

// The values that a search may give a parameter. They ascend and are numbered; such a number is
// called a step. By the parameter's unit they are
//   tokens         every number of keys from the parameter's minimum to key_len, and beyond it, to
//                  the parameter's maximum, if it states one: it then counts what may be more than
//                  the keys, as draws; but the multiples of 0.000001 % of the visible keys where
//                  the pipeline gives such a share
//   share          the multiples of 0.000001 %
//   count, blocks  every whole number up to the parameter's maximum, or to key_len if it has none
//   number         a million equal parts of the range from its minimum to its maximum
// all within the parameter's own minimum and maximum.
class ParameterRange {
 public:
  // given: the value that the pipeline has now. key_len: keys of the workload. Requires that
  // search_obstacle() of the parameter is "".
  ParameterRange(const maskerade_parameter& parameter,
                 const maskerade_value& given,
                 std::int64_t key_len);

  // The first and the last step; with a limit where values beyond key_len count.
  SearchRange steps() const noexcept { return steps_; }
  // The value of a step, as a user would write it in YAML.
  std::string text(std::int64_t step) const;

 private:
  enum class Form { kCount, kPercentage, kPercentageOfVisible, kNumber };

  SearchRange steps_;
  Form form_ = Form::kCount;
  // For Form::kNumber: the parameter's minimum, and its maximum minus its minimum.
  double minimum_ = 0;
  double width_ = 0;
};

}  // namespace maskerade
