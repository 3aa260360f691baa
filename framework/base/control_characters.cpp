#include "framework/base/control_characters.hpp"

#include <string>

namespace maskerade {

void refuse_control_characters(std::string_view text, const TextPosition& position) {
  constexpr const char* kDigits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) continue;
    if (c == '\n') throw ConfigError(position, "this text has several lines; write it on one line");
    throw ConfigError(position, std::string("a text holds the control character \\x") +
                                    kDigits[byte / 16] + kDigits[byte % 16] + "; remove it");
  }
}

}  // namespace maskerade
