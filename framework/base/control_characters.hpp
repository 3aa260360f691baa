#pragma once

#include <string_view>

#include "framework/base/error.hpp"

namespace maskerade {

// Throws ConfigError at `position` when a text holds a control character. Names and values of an
// experiment reach the terminal.
void refuse_control_characters(std::string_view text, const TextPosition& position);

}  // namespace maskerade
