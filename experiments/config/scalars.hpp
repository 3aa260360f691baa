#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// Strict readers of single values. `what` names the value in messages: "key_len". Numbers are plain
// decimals: no quotes, no leading zeros, no octal, no underscores. All throw ConfigError at the
// value.

// A whole number in [minimum, maximum], digits only. `otherwise` ends the message: ", or all".
std::int64_t read_whole(const YamlNode& node,
                        const std::string& what,
                        std::int64_t minimum,
                        std::int64_t maximum,
                        const std::string& otherwise = "");
// A whole number in [0, 2^64).
std::uint64_t read_seed(const YamlNode& node, const std::string& what);
// A finite number above 0: 0.125, 1e-5.
double read_positive(const YamlNode& node, const std::string& what);
// A scale of logits: see parse_positive_float.
float read_scale(const YamlNode& node, const std::string& what);
// true or false.
bool read_bool(const YamlNode& node, const std::string& what);
// A text that is not empty.
std::string read_text(const YamlNode& node, const std::string& what);
// One of the listed names.
std::string read_choice(const YamlNode& node,
                        const std::string& what,
                        const std::vector<std::string>& names);
// A list of different whole numbers, or `all`: nullopt. Throws on an empty list.
std::optional<std::vector<std::int64_t>> read_numbers_or_all(const YamlNode& node,
                                                             const std::string& what);
// A share in (0, 1), written 2% or 0.02.
double read_share(const YamlNode& node, const std::string& what);
// A time in milliseconds, written 2s or 500ms.
double read_duration_ms(const YamlNode& node, const std::string& what);

// Whether a text is a plain decimal number, see parse_decimal.
bool is_number(const std::string& text) noexcept;

}  // namespace maskerade
