#pragma once

#include <cstdint>

namespace maskerade {

// Runs steps on the host. DeviceSteps (launch.cuh) has the same functions for the device: an
// algorithm that takes one of the two as a template argument is written once and runs on both.
struct HostSteps {
  // Calls body(i) for every i in [0, count). The calls must not depend on each other or their
  // order.
  template <typename Body>
  void for_each(std::int64_t count, const Body& body) const {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
  // Replaces each of values[0 .. count) by the sum of those before it, and writes the sum of all to
  // values[count].
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
