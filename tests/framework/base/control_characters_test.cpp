#include "framework/base/control_characters.hpp"

#include <gtest/gtest.h>

#include <string>

namespace maskerade {
namespace {

std::string error_of(const std::string& text) {
  try {
    refuse_control_characters(text, {"x.yaml", 3, 7});
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ControlCharacters, AreRefusedWhereTheyStand) {
  EXPECT_EQ(error_of("plain, Größe [1]"), "accepted");
  EXPECT_EQ(error_of(""), "accepted");
  EXPECT_EQ(error_of("a\x1b[2J"),
            "x.yaml:3:7: a text holds the control character \\x1b; remove it");
  EXPECT_EQ(error_of("a\x7f"), "x.yaml:3:7: a text holds the control character \\x7f; remove it");
  EXPECT_EQ(error_of(std::string("a\0", 2)),
            "x.yaml:3:7: a text holds the control character \\x00; remove it");
  EXPECT_EQ(error_of("a\nb"), "x.yaml:3:7: this text has several lines; write it on one line");
}

}  // namespace
}  // namespace maskerade
