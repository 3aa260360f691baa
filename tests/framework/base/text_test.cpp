#include "framework/base/text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

const std::string kNull(1, '\0');
const std::string kMended = "\xEF\xBF\xBD";  // U+FFFD

TEST(Text, KnowsTheFirstByteThatIsNotUtf8) {
  EXPECT_EQ(first_invalid_byte(""), 0U);
  EXPECT_EQ(first_invalid_byte("Größe, 鍵, 🔑"), std::string("Größe, 鍵, 🔑").size());
  EXPECT_EQ(first_invalid_byte("caf\xe9"), 3U) << "Latin-1";
  EXPECT_EQ(first_invalid_byte("a\x80"), 1U) << "a continuation without a beginning";
  EXPECT_EQ(first_invalid_byte("ab\xe9\x8d"), 2U) << "a character that is cut";
  EXPECT_EQ(first_invalid_byte("\xc0\xaf"), 0U) << "a slash in two bytes";
  EXPECT_EQ(first_invalid_byte("\xed\xa0\x80"), 0U) << "half of a surrogate pair";
  EXPECT_EQ(first_invalid_byte("\xf5\x80\x80\x80"), 0U) << "beyond U+10FFFF";
}

TEST(Text, CountsCharactersAndNotBytes) {
  EXPECT_EQ(character_count(""), 0U);
  EXPECT_EQ(character_count("± 2 %"), 5U);
  EXPECT_EQ(character_count("Größe, 鍵, 🔑"), 11U);
}

TEST(Text, IsStoredAsValidUtf8) {
  EXPECT_EQ(storable("Größe\n\x1b"), "Größe\n\x1b") << "what readers decode stays";
  EXPECT_EQ(storable("caf\xe9s"), "caf" + kMended + "s");
  EXPECT_EQ(storable("\xe9\x8d"), kMended + kMended);
  EXPECT_EQ(storable("\xe9z"), kMended + "z") << "the letter after a lost byte stays";
  EXPECT_EQ(storable("a" + kNull + "b"), "a" + kMended + "b");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string stored = storable(all);
  EXPECT_EQ(first_invalid_byte(stored), stored.size());
  EXPECT_EQ(storable(stored), stored);
}

TEST(Text, IsShownOnOneLineAndObeyedInNothing) {
  EXPECT_EQ(printable("Größe, 鍵"), "Größe, 鍵");
  EXPECT_EQ(printable("a\x1b[2J\r\n\tb\x7f" + kNull), "a\\x1b[2J\\x0d\\x0a\\x09b\\x7f\\x00");
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "1m"),
            "a\\u009b1m")
      << "the one-byte form of ESC [";
  EXPECT_EQ(printable("a\xe2\x80\xae"
                      "b"),
            "a\\u202eb")
      << "right-to-left override";
  EXPECT_EQ(printable("a\xe2\x80\xa8"
                      "b"),
            "a\\u2028b")
      << "line separator";
}

TEST(Text, OfAnErrorIsOnOneLineButForItsExample) {
  EXPECT_STREQ(DataError("x", "a\nb\x1b", "is bad").what(), "x: tensor \"a\\x0ab\\x1b\": is bad");
  EXPECT_STREQ(PluginError("x.so", "failed: one\r\nmaskerade: all is well").what(),
               "x.so: failed: one\\x0d\\x0amaskerade: all is well");
  EXPECT_STREQ(
      ConfigError({"x.yaml", 1, 2}, "no \"a\nb\"; write:", ConfigExample{"\n  a: 1"}).what(),
      "x.yaml:1:2: no \"a\\x0ab\"; write:\n  a: 1");
}

}  // namespace
}  // namespace maskerade
