#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Texts that come from elsewhere, such as names in data files and messages of plugins. They may
// hold any bytes.
namespace maskerade {

// The first byte of a text that is not part of valid UTF-8; the text's size when there is none.
std::size_t first_invalid_byte(std::string_view text);

// The characters of a text in UTF-8, each of which a terminal shows in one column: the bytes but
// those that continue a character.
std::size_t character_count(std::string_view text);

// The text as every reader of UTF-8 takes it, for what is stored: U+FFFD takes the place of each
// byte that is not part of valid UTF-8, and of each null character.
std::string storable(std::string_view text);

// The text with its control characters in the form \x1b, line breaks included, so that it stays on
// one line; all other bytes stay as they are. For a message that quotes the text.
std::string on_one_line(std::string_view text);

// The text as a terminal shows it on one line without obeying it, for what is shown: control
// characters and bytes that are not part of valid UTF-8 have the form \x1b; characters above U+007F
// that break or turn around a line have the form \u202e.
std::string printable(std::string_view text);

}  // namespace maskerade
