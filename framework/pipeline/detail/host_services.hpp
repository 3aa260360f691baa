#pragma once

#include <cstdint>
#include <exception>

#include "framework/pipeline/host_call.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade {

// The services of a call as C functions. Each finds the HostCall that the call belongs to; an
// exception becomes the failure that the HostCall remembers, unless it has one already, and the
// function returns MASKERADE_FAILED, 0 or null.
struct HostServices {
  static const maskerade_services* table();

 private:
  static HostCall& host_of(const maskerade_call* call) {
    return *static_cast<HostCall*>(call->self);
  }

  template <typename Body>
  static auto guarded(const maskerade_call* call, Body&& body) noexcept
      -> decltype(body(host_of(call))) {
    try {
      return body(host_of(call));
    } catch (const std::exception& error) {
      std::string& failure = host_of(call).failure_;
      if (failure.empty()) failure = error.what();
    }
    return {};
  }

  template <typename Body>
  static std::int32_t status_of(const maskerade_call* call, Body&& body) noexcept {
    const bool done = guarded(call, [&](HostCall& host) {
      body(host);
      return true;
    });
    return done ? MASKERADE_OK : MASKERADE_FAILED;
  }
};

}  // namespace maskerade
