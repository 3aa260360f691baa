#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/masker_host.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade {

// The buffer for a text that a function of a masker is given, and some bytes behind it that must
// stay as they are.
class ErrorText {
 public:
  static constexpr std::size_t kBytes = 1024;

  ErrorText() noexcept { std::fill(bytes_.begin() + kBytes, bytes_.end(), kUntouched); }

  char* data() noexcept { return bytes_.data(); }
  bool is_intact_behind() const noexcept {
    return std::all_of(bytes_.begin() + kBytes, bytes_.end(),
                       [](char byte) { return byte == kUntouched; });
  }
  // What stands in the buffer, every byte that is no UTF-8 replaced. Where a plugin wrote no null
  // character, its text ends with the buffer.
  std::string text() const;
  static std::string overrun();

 private:
  static constexpr std::size_t kBytesBehind = 64;
  static constexpr char kUntouched = '\x5A';

  std::array<char, kBytes + kBytesBehind> bytes_{};
};

// A masker instance, made from its arguments: it has read the files that they name. It holds
// nothing of queries, keys and values, and nothing that it is asked for changes it, so that it
// serves any number of sequences at once; destroying it frees it through the library that made it.
// Where a function of the masker fails, a PluginError with the masker's own text is thrown.
class LoadedMasker {
 public:
  // inputs: of which the shape, the causality and the layer are used. place: the masker's number in
  // its pipeline, from 0.
  LoadedMasker(MaskerUse use,
               const AttentionInputs& inputs,
               std::uint64_t seed,
               std::uint32_t place);
  LoadedMasker(const LoadedMasker&) = delete;
  LoadedMasker& operator=(const LoadedMasker&) = delete;
  ~LoadedMasker();

  const MaskerUse& use() const noexcept { return use_; }
  const MaskerType& type() const noexcept { return *use_.type; }
  const void* instance() const noexcept { return masker_; }  // NULL for a masker without state
  const maskerade_grain& grain() const noexcept { return grain_; }
  const maskerade_host* host() const noexcept { return host_.c_host(); }

  // The reason of a failure without a text.
  static constexpr const char* kNoReason = "it gives no reason";

  // Calls function(error, error_size), one of the masker's, under the guard of PluginCall, and
  // throws PluginError when it broke a rule that holds for all functions, when it failed, or when
  // the host refused something that it asked for, even if it ignored that. The first of these that
  // there is gives the reason: what misconduct_of() says; writing behind the text buffer; what a
  // service of the call refused, read after the function has returned; what the instance's host
  // refused; the masker's own text. [any thread]
  template <typename Function>
  void run(const char* what, Function&& function, const std::string& refusal_of_call = "") const {
    ErrorText error;
    std::int32_t status = MASKERADE_FAILED;
    const std::string misconduct = misconduct_of(
        type().call_number(), [&] { status = function(error.data(), ErrorText::kBytes); });
    if (!misconduct.empty()) fail(what, "it " + misconduct);
    if (!error.is_intact_behind()) fail(what, ErrorText::overrun());
    if (!refusal_of_call.empty()) fail(what, refusal_of_call);
    const std::string refusal = host_.refusal();
    if (!refusal.empty()) fail(what, refusal);
    if (status == MASKERADE_OK) return;
    const std::string text = error.text();
    fail(what, text.empty() ? kNoReason : text);
  }
  // The same for a function that has no way to fail.
  template <typename Function>
  void run_infallible(const char* what, Function&& function) const {
    run(what, [&](char*, std::size_t) {
      function();
      return MASKERADE_OK;
    });
  }
  // Calls a function that destroys something, where no error can be thrown: what it did that no
  // function may do is kept by the type (see MaskerType::remember_misconduct).
  template <typename Function>
  void release(const char* what, Function&& function) const noexcept {
    const std::string misconduct = misconduct_of(type().call_number(), function);
    if (!misconduct.empty()) type().remember_misconduct(std::string(what) + " " + misconduct);
  }
  [[noreturn]] void fail(const char* what, const std::string& reason) const;

 private:
  void destroy() noexcept;

  MaskerUse use_;
  MaskerHost host_;
  void* masker_ = nullptr;
  maskerade_grain grain_{1, MASKERADE_HEADS_ONE};
};

}  // namespace maskerade
