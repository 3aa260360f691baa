#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// Strict readers of single values. `what` names the value in messages: "key_len". Numbers are plain
// decimals: without quotes, leading zeros or underscores, and never octal. Every read_ function
// throws ConfigError, with the value's position, when the value has another form.

// A whole number in [minimum, maximum]. `otherwise` is appended to the message, to name what else
// the caller accepts: ", or all".
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
// A list of different whole numbers that is not empty; or the word `all`, which gives nullopt.
std::optional<std::vector<std::int64_t>> read_numbers_or_all(const YamlNode& node,
                                                             const std::string& what);
// A share in (0, 1), written 2% or 0.02.
double read_share(const YamlNode& node, const std::string& what);
// The time in milliseconds that a text such as 2s or 500ms states; nullopt for any other text, and
// for a time that is not above 0.
std::optional<double> parse_duration_ms(const std::string& text);
// A time in milliseconds, written 2s or 500ms.
double read_duration_ms(const YamlNode& node, const std::string& what);
// An amount of memory in bytes, written 4GB or 500MB: 10^9 and 10^6 bytes each.
std::int64_t read_memory_bytes(const YamlNode& node, const std::string& what);

// Whether a text is a plain decimal number, see parse_decimal.
bool is_number(const std::string& text) noexcept;

}  // namespace maskerade
