#pragma once

#include <cstdint>

namespace maskerade {

// Runs on the host, in order, the steps that DeviceSteps (launch.cuh) runs on the device: work on
// both is written once, against either.
struct HostSteps {
  // Calls body(i) for i in [0, count); the calls do not depend on each other's order.
  template <typename Body>
  void for_each(std::int64_t count, const Body& body) const {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
  // In place: values[i] becomes the sum of the values before i; values[count] the sum of all.
  void exclusive_sum(std::int64_t* values, std::int64_t count) const {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i <= count; ++i) {
      const std::int64_t value = i < count ? values[i] : 0;
      values[i] = sum;
      sum += value;
    }
  }
};

}  // namespace maskerade
