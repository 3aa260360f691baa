#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/masker_host.hpp"

namespace maskerade {

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

  // Calls function(error, error_size), one of the masker's, and throws PluginError when it failed
  // or the host refused something that it asked for, even if it ignored that. The first of these
  // that there is gives the reason: what a service of the call refused, read after the function has
  // returned; what the instance's host refused; the masker's own text.
  template <typename Function>
  void run(const char* what, Function&& function, const std::string& refusal_of_call = "") const {
    std::array<char, 1024> error{};
    const std::int32_t status = function(error.data(), error.size());
    if (!refusal_of_call.empty()) fail(what, refusal_of_call);
    const std::string refusal = host_.refusal();
    if (!refusal.empty()) fail(what, refusal);
    if (status == MASKERADE_OK) return;
    // Where a plugin wrote no null character, its text ends with the buffer.
    const std::string text(error.begin(), std::find(error.begin(), error.end(), '\0'));
    fail(what, text.empty() ? "it gives no reason" : text);
  }
  [[noreturn]] void fail(const char* what, const std::string& reason) const;

 private:
  MaskerUse use_;
  MaskerHost host_;
  void* masker_ = nullptr;
  maskerade_grain grain_{1, MASKERADE_HEADS_ONE};
};

}  // namespace maskerade
