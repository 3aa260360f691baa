// What a new masker is given.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "framework/sdk/description.hpp"
#include "framework/sdk/exact_share.hpp"
#include "framework/sdk/host.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

// The value of a parameter in tokens, which is a number of keys only for a given row.
class Tokens {
 public:
  explicit Tokens(const maskerade_value& value) : value_(value) { value_.text = nullptr; }
  std::int64_t of(std::int64_t key_len, std::int64_t visible_len) const {
    return maskerade_tokens_of(&value_, key_len, visible_len);
  }
  // The C value, for a device kernel; its text is null.
  const maskerade_value& value() const { return value_; }

 private:
  maskerade_value value_;
};

// The validated arguments of a new instance, by name, and the problem that it is created for. Lives
// as long as create() runs. A name that is not in the masker's own table throws std::logic_error.
class Arguments {
 public:
  Arguments(const maskerade_create_info& info, const Description& description)
      : info_(info), description_(description) {}

  Tokens tokens(std::string_view name) const { return Tokens(one(name)); }
  double share(std::string_view name) const { return one(name).number; }
  // A share in hundred-millionths: kHundredPercent stands for all.
  std::int64_t exact_share(std::string_view name) const {
    return std::llround(share(name) * static_cast<double>(kHundredPercent));
  }
  double number(std::string_view name) const { return one(name).number; }
  std::int64_t count(std::string_view name) const { return one(name).integer; }
  std::int64_t blocks(std::string_view name) const { return one(name).integer; }
  std::string choice(std::string_view name) const { return one(name).text; }
  std::string text(std::string_view name) const { return one(name).text; }
  // An absolute path; "" where the parameter has the default "" and was left out.
  std::string file(std::string_view name) const { return one(name).text; }
  // All values of a list parameter.
  std::span<const maskerade_value> list(std::string_view name) const {
    for (std::size_t i = 0; i < description_.parameters.size(); ++i) {
      if (name == description_.parameters[i].c_row().name) {
        return {info_.arguments[i].values, info_.arguments[i].count};
      }
    }
    throw std::logic_error("the masker has no parameter \"" + std::string(name) + "\"");
  }
  const maskerade_shape& shape() const { return info_.shape; }
  bool causal() const { return info_.causal != 0; }
  std::int64_t layer() const { return info_.layer; }
  Host host() const { return Host(info_.host); }

 private:
  const maskerade_value& one(std::string_view name) const { return list(name).front(); }

  const maskerade_create_info& info_;
  const Description& description_;
};

}  // namespace maskerade::sdk
