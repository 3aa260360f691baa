#include "experiments/report/number_text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace maskerade {
namespace {

TEST(NumberText, HasThreeSignificantDigits) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(1), "1.00");
  EXPECT_EQ(number_text(0.05123), "0.0512");
  EXPECT_EQ(number_text(0.001), "0.00100");
  EXPECT_EQ(number_text(12.345), "12.3");
  EXPECT_EQ(number_text(123.45), "123");
  EXPECT_EQ(number_text(12345.6), "12346");
  EXPECT_EQ(number_text(-2.5), "-2.50");
}

TEST(NumberText, RoundsAcrossAPowerOfTen) {
  EXPECT_EQ(number_text(9.996), "10.0");
  EXPECT_EQ(number_text(0.09996), "0.100");
  EXPECT_EQ(number_text(99.96), "100");
}

TEST(NumberText, WritesSmallAndLargeNumbersWithAnExponent) {
  EXPECT_EQ(number_text(1.2e-6), "1.20e-6");
  EXPECT_EQ(number_text(9.99e-4), "9.99e-4");
  EXPECT_EQ(number_text(123456), "1.23e5");
  EXPECT_EQ(number_text(1e-12), "1.00e-12");
}

TEST(NumberText, NamesWhatIsNoNumber) {
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(milliseconds_text(std::numeric_limits<double>::infinity()), "inf");
}

TEST(ShortNumberText, WritesWhatAUserWouldWrite) {
  EXPECT_EQ(short_number_text(1e-5), "1e-5");
  EXPECT_EQ(short_number_text(0.002), "0.002");
  EXPECT_EQ(short_number_text(0), "0");
}

TEST(MillisecondsText, HasAtMostFourDecimals) {
  EXPECT_EQ(milliseconds_text(12.34), "12.3");
  EXPECT_EQ(milliseconds_text(0.01234), "0.0123");
  EXPECT_EQ(milliseconds_text(0.001234), "0.0012");
  EXPECT_EQ(milliseconds_text(0.00001), "0.0000");
  EXPECT_EQ(milliseconds_text(54321), "54321");
  EXPECT_EQ(milliseconds_text(654321), "6.54e5");
}

TEST(Wrapped, BreaksAtSpacesAndKeepsLongWords) {
  EXPECT_EQ(wrapped("one two three", 9, 2), "  one two\n  three\n");
  EXPECT_EQ(wrapped("a verylongword b", 6, 0), "a\nverylongword\nb\n");
  EXPECT_EQ(wrapped("  spaces\n and  breaks ", 80, 1), " spaces and breaks\n");
  EXPECT_EQ(wrapped("", 80, 1), "");
}

TEST(WrappedHanging, SetsTheFirstLineOff) {
  EXPECT_EQ(wrapped_hanging("one two three four", 12, 2), "  one two\n    three\n    four\n");
  EXPECT_EQ(wrapped_hanging("", 12, 2), "");
}

TEST(Wrapped, CountsCharactersAndNotBytes) { EXPECT_EQ(wrapped("ää öö üü", 8, 0), "ää öö üü\n"); }

}  // namespace
}  // namespace maskerade
