#include "framework/base/decimal.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <optional>

namespace maskerade {
namespace {

TEST(Decimal, PlainDecimalsAreNumbers) {
  EXPECT_EQ(parse_decimal("0"), 0);
  EXPECT_EQ(parse_decimal("12"), 12);
  EXPECT_EQ(parse_decimal("-0.5"), -0.5);
  EXPECT_EQ(parse_decimal("1e-5"), 1e-5);
  EXPECT_EQ(parse_decimal("1.25E+2"), 125);
}

TEST(Decimal, OtherTextsAreNone) {
  for (const char* text : {"", "-", "012", "00", ".5", "5.", "1e", "1e+", "+1", " 1", "1 ", "1_000",
                           "0x10", "inf", "nan", "1e999", "1.2.3"}) {
    EXPECT_EQ(parse_decimal(text), std::nullopt) << text;
  }
}

TEST(Decimal, PositiveFloatsAreInTheRangeOfFloat32) {
  EXPECT_EQ(parse_positive_float("0.125"), 0.125F);
  EXPECT_EQ(parse_positive_float("1e-45"), std::numeric_limits<float>::denorm_min());
  for (const char* text : {"0", "-1", "1e39", "1e-60", "x"}) {
    EXPECT_EQ(parse_positive_float(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace maskerade
