#pragma once

#include <string>

namespace maskerade {

// A number with three significant digits: "0.0512", "12.3", "1234", "1.20e-6" below 0.001 or from
// 100000 on, "0", "inf", "nan".
std::string number_text(double value);

// A number that somebody chose, as short as three significant digits allow: "1e-5", "0.02".
std::string short_number_text(double value);

// Milliseconds with three significant digits, but no more than four decimals, so that a column of
// times stays narrow: "12.3", "0.0123", "0.0012".
std::string milliseconds_text(double value_ms);

// Breaks text at white space, its line breaks included, into lines of at most `width` characters,
// each after `indent` spaces; every line ends with a line break. Words are made printable(); those
// longer than a line stay whole.
std::string wrapped(const std::string& text, std::size_t width, std::size_t indent);

// The same with two spaces more before every line but the first, for a text that others of its kind
// follow.
std::string wrapped_hanging(const std::string& text, std::size_t width, std::size_t indent);

}  // namespace maskerade
