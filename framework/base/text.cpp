#include "framework/base/text.hpp"

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <cstdint>

namespace maskerade {
namespace {

namespace utf = boost::locale::utf;

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// A character of a text, or a byte that is part of none.
struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool is_valid = false;
};

Character character_at(std::string_view text, std::size_t at) {
  const char* next = text.data() + at;
  const utf::code_point code = utf::utf_traits<char>::decode(next, text.data() + text.size());
  if (code == utf::illegal || code == utf::incomplete) return {};
  return {code, static_cast<std::size_t>(next - (text.data() + at)), true};
}

bool is_control(std::uint32_t code) { return code < 0x20 || code == 0x7F; }

// The controls of Latin-1, line and paragraph separator, and what sets the direction of a text.
bool breaks_a_line(std::uint32_t code) {
  return (code >= 0x80 && code < 0xA0) || code == 0x61C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

void append_byte(char byte, std::string& target) {
  const auto code = static_cast<unsigned char>(byte);
  target += "\\x";
  target += kDigits[code / 16];
  target += kDigits[code % 16];
}

void append_code(std::uint32_t code, std::string& target) {
  target += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) target += kDigits[code >> shift & 15];
}

}  // namespace

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
  }));
}

std::size_t first_invalid_byte(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (!next.is_valid) break;
    at += next.bytes;
  }
  return at;
}

std::string storable(std::string_view text) {
  std::string stored;
  for (std::size_t at = 0; at < text.size();) {
    const Character next = character_at(text, at);
    stored += next.is_valid && next.code != 0 ? text.substr(at, next.bytes) : kReplacement;
    at += next.bytes;
  }
  return stored;
}

std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (is_control(static_cast<unsigned char>(c))) {
      append_byte(c, line);
    } else {
      line += c;
    }
  }
  return line;
}

std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const Character next = character_at(text, at);
    if (!next.is_valid || is_control(next.code)) {
      append_byte(text[at], shown);
    } else if (breaks_a_line(next.code)) {
      append_code(next.code, shown);
    } else {
      shown += text.substr(at, next.bytes);
    }
    at += next.bytes;
  }
  return shown;
}

}  // namespace maskerade
