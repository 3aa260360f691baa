#include "experiments/report/terminal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace maskerade {
namespace {

// A variable of the environment while the object lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  }
  ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// A terminal of so many columns that shows nothing to anyone; nullptr where the system has none.
class HiddenTerminal {
 public:
  explicit HiddenTerminal(unsigned short columns) : host_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (host_ < 0 || grantpt(host_) != 0 || unlockpt(host_) != 0) return;
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(host_, TIOCSWINSZ, &size);
    stream_ = std::fopen(ptsname(host_), "w");
  }
  ~HiddenTerminal() {
    if (stream_ != nullptr) std::fclose(stream_);
    if (host_ >= 0) close(host_);
  }
  HiddenTerminal(const HiddenTerminal&) = delete;
  HiddenTerminal& operator=(const HiddenTerminal&) = delete;

  std::FILE* stream() const { return stream_; }

 private:
  int host_;
  std::FILE* stream_ = nullptr;
};

TEST(TerminalStyle, OfAFileIsWideAndWithoutColors) {
  std::FILE* file = std::tmpfile();
  const TerminalStyle style = terminal_style(file);
  EXPECT_EQ(style.width, kTableWidth);
  EXPECT_FALSE(style.has_colors);
  std::fclose(file);
}

TEST(TerminalStyle, IsThatOfTheTerminal) {
  const HiddenTerminal terminal(97);
  if (terminal.stream() == nullptr) GTEST_SKIP() << "this system has no pseudo-terminals";
  const Variable allowed("NO_COLOR", nullptr);
  const Variable term("TERM", "xterm");
  EXPECT_EQ(terminal_style(terminal.stream()).width, 97U);
  EXPECT_TRUE(terminal_style(terminal.stream()).has_colors);
  const Variable refused("NO_COLOR", "1");
  EXPECT_FALSE(terminal_style(terminal.stream()).has_colors);
  const Variable empty("NO_COLOR", "");
  EXPECT_TRUE(terminal_style(terminal.stream()).has_colors);
  const Variable dumb("TERM", "dumb");
  EXPECT_FALSE(terminal_style(terminal.stream()).has_colors);
}

TEST(TerminalStyle, OfATerminalThatDoesNotTellIsOfEightyColumns) {
  const HiddenTerminal terminal(0);
  if (terminal.stream() == nullptr) GTEST_SKIP() << "this system has no pseudo-terminals";
  EXPECT_EQ(terminal_width(terminal.stream()), 80U);
}

}  // namespace
}  // namespace maskerade
