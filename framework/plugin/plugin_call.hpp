#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "framework/base/floating_point_state.hpp"
#include "framework/plugin/call_record.hpp"

namespace maskerade {

// The guard around one call into a plugin, loading its library included, on the thread that makes
// it. Costs nanoseconds. Two such calls do not nest.
class PluginCall {
 public:
  // number: the masker's in the record of calls (see CallRecord).
  explicit PluginCall(std::uint8_t number) noexcept
      : before_(FloatingPointState::current()), is_noted_(number != 0) {
    if (is_noted_) CallRecord::enter(number);
  }
  ~PluginCall() { end(); }
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

  // The call is over: what it changed is put back.
  void end() noexcept {
    if (has_ended_) return;
    has_ended_ = true;
    if (is_noted_) CallRecord::leave();
    after_ = FloatingPointState::current();
    if (!(after_ == before_)) before_.restore();
  }
  // What the thread did after the call that it did not do before: "flushes denormals to zero"; ""
  // when nothing changed. Requires end().
  std::string floating_point_change() const {
    return after_ == before_ ? "" : after_.change_from(before_);
  }

 private:
  FloatingPointState before_;
  FloatingPointState after_;
  bool is_noted_;
  bool has_ended_ = false;
};

// Texts about a function of a plugin: what follows its name, or "it".
std::string exception_text(const char* exception);  // nullptr: of unknown type
std::string floating_point_text(const std::string& change);
// Whether a message quotes one of these.
bool names_misconduct(std::string_view message);

// Calls `function`, which calls functions of a plugin, under the guard. Gives what these did that
// no function of a plugin may do: "threw an exception (...); ...", "changed the floating-point
// environment ..."; "" when they kept to the rules. [any thread]
template <typename Function>
std::string misconduct_of(std::uint8_t number, Function&& function) {
  PluginCall call(number);
  std::string thrown;
  try {
    function();
  } catch (const std::exception& exception) {
    call.end();
    thrown = exception_text(exception.what());
  } catch (...) {
    call.end();
    thrown = exception_text(nullptr);
  }
  call.end();
  const std::string change = call.floating_point_change();
  if (!thrown.empty() || change.empty()) return thrown;
  return floating_point_text(change);
}

}  // namespace maskerade
