#include "framework/base/floating_point_state.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace maskerade {
namespace {

// One bit of a control word, and what a thread does where it is set and where it is clear.
struct ControlBit {
  int bit;
  const char* set;
  const char* clear;
};

// A control word: its bits, and the field of two bits that says how numbers are rounded.
struct ControlWord {
  std::vector<ControlBit> bits;
  int rounding_bit;
  std::array<const char*, 4> roundings;
};

constexpr const char* kNearest = "rounds to nearest";
constexpr const char* kDown = "rounds down";
constexpr const char* kUp = "rounds up";
constexpr const char* kTowardZero = "rounds toward zero";

#if defined(__x86_64__)
// The six exceptions of a word whose bits mask them, from that bit on.
std::vector<ControlBit> masks_from(int bit) {
  return {{bit, "no longer traps invalid operations", "traps invalid operations"},
          {bit + 1, "no longer traps denormals", "traps denormals"},
          {bit + 2, "no longer traps division by zero", "traps division by zero"},
          {bit + 3, "no longer traps overflow", "traps overflow"},
          {bit + 4, "no longer traps underflow", "traps underflow"},
          {bit + 5, "no longer traps inexact results", "traps inexact results"}};
}
const ControlWord& control_word() {
  static const ControlWord kWord = [] {
    ControlWord word{masks_from(7), 13, {kNearest, kDown, kUp, kTowardZero}};
    word.bits.insert(word.bits.begin(),
                     {{15, "flushes denormals to zero", "no longer flushes denormals to zero"},
                      {6, "takes denormals for zero", "no longer takes denormals for zero"}});
    return word;
  }();
  return kWord;
}
const ControlWord& x87_word() {
  static const ControlWord kWord{masks_from(0), 10, {kNearest, kDown, kUp, kTowardZero}};
  return kWord;
}
#elif defined(__aarch64__)
const ControlWord& control_word() {
  static const ControlWord kWord{
      {{24, "flushes denormals to zero", "no longer flushes denormals to zero"},
       {19, "flushes denormals of float16 to zero", "no longer flushes denormals of float16"},
       {25, "makes every NaN the same", "no longer makes every NaN the same"},
       {8, "traps invalid operations", "no longer traps invalid operations"},
       {9, "traps division by zero", "no longer traps division by zero"},
       {10, "traps overflow", "no longer traps overflow"},
       {11, "traps underflow", "no longer traps underflow"},
       {12, "traps inexact results", "no longer traps inexact results"},
       {15, "traps denormals", "no longer traps denormals"}},
      22,
      {kNearest, kUp, kDown, kTowardZero}};
  return kWord;
}
#endif

using Texts = std::vector<std::string>;

void add(Texts& texts, std::string text) {
  if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
}

#if defined(__x86_64__) || defined(__aarch64__)
// Adds what `now` does and `before` does not.
void add_changes(const ControlWord& word, std::uint32_t before, std::uint32_t now, Texts& texts) {
  for (const ControlBit& bit : word.bits) {
    const std::uint32_t mask = std::uint32_t{1} << bit.bit;
    if (((before ^ now) & mask) != 0) add(texts, (now & mask) != 0 ? bit.set : bit.clear);
  }
  const std::uint32_t rounding = now >> word.rounding_bit & 3U;
  if (rounding != (before >> word.rounding_bit & 3U)) add(texts, word.roundings[rounding]);
}
#endif

}  // namespace

std::string FloatingPointState::change_from(const FloatingPointState& before) const {
  Texts texts;
#if defined(__x86_64__)
  add_changes(control_word(), before.control_, control_, texts);
  add_changes(x87_word(), before.x87_, x87_, texts);
  constexpr std::uint32_t kPrecision = 0x0300;
  if (((before.x87_ ^ x87_) & kPrecision) != 0) {
    constexpr std::array kBits = {"24", "0", "53", "64"};
    add(texts, std::string("computes with ") + kBits[(x87_ & kPrecision) >> 8] +
                   " bits of precision in x87 arithmetic");
  }
#elif defined(__aarch64__)
  add_changes(control_word(), before.control_, control_, texts);
#else
  if (control_ != before.control_) {
    const int rounding = static_cast<int>(control_);
    add(texts, rounding == FE_TONEAREST    ? kNearest
               : rounding == FE_DOWNWARD   ? kDown
               : rounding == FE_UPWARD     ? kUp
               : rounding == FE_TOWARDZERO ? kTowardZero
                                           : "rounds in another way");
  }
#endif
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

}  // namespace maskerade
