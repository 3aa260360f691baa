#pragma once

#include <cfenv>
#include <cstdint>
#include <string>

namespace maskerade {

// How a thread computes with floating-point numbers: its rounding, what it does with denormals, and
// which exceptions trap. What exceptions have happened so far (the sticky flags) is no part of it.
// Reading, comparing and restoring take nanoseconds and no system call. [any thread]
class FloatingPointState {
 public:
  // That of the calling thread.
  static FloatingPointState current() noexcept {
    FloatingPointState state;
#if defined(__x86_64__)
    state.control_ = __builtin_ia32_stmxcsr() & kControl;
    std::uint16_t x87 = 0;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    state.x87_ = x87 & kX87Control;
#elif defined(__aarch64__)
    std::uint64_t fpcr = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    state.control_ = static_cast<std::uint32_t>(fpcr) & kControl;
#else
    state.control_ = static_cast<std::uint32_t>(std::fegetround());
#endif
    return state;
  }

  // Makes the calling thread compute so from now on.
  void restore() const noexcept {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~kControl) | control_);
    std::uint16_t x87 = 0;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    x87 = static_cast<std::uint16_t>((x87 & ~kX87Control) | x87_);
    // Rationale: to load a control word raises the exceptions that are pending and trap.
    __asm__ volatile("fnclex\n\tfldcw %0" : : "m"(x87));
#elif defined(__aarch64__)
    std::uint64_t fpcr = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = (fpcr & ~std::uint64_t{kControl}) | control_;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#else
    std::fesetround(static_cast<int>(control_));
#endif
  }

  friend bool operator==(const FloatingPointState&, const FloatingPointState&) = default;

  // What a thread in this state does that one in `before` does not, in words: "flushes denormals to
  // zero, rounds toward zero"; "no longer traps overflow"; "" when the two are equal.
  std::string change_from(const FloatingPointState& before) const;

 private:
#if defined(__x86_64__)
  static constexpr std::uint32_t kControl = 0xFFC0;     // of MXCSR
  static constexpr std::uint32_t kX87Control = 0x0F3F;  // of the x87 control word
#elif defined(__aarch64__)
  // Of FPCR: traps (8 to 12, 15), FZ16 (19), rounding (22, 23), FZ (24), DN (25).
  static constexpr std::uint32_t kControl = 0x03C89F00;
#endif

  std::uint32_t control_ = 0;
  std::uint32_t x87_ = 0;
};

}  // namespace maskerade
