#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framework/base/parallel.hpp"

namespace maskerade {

// What arithmetic and memory give: the roof of attainable_ms. Of the machine with a number of
// threads; or of a device, then see DeviceRoofs.
struct MachinePeaks {
  double flops_per_second = 0;       // float32 multiply-adds, two flops each; a device's products
  double read_bytes_per_second = 0;  // from memory; a device's copy, read and written
  // Of a device alone: of its second-level cache, and what multiplied.
  std::optional<double> l2_bytes_per_second = {};
  std::optional<std::string> flops_source = {};
};

// The read probe's buffer. The bandwidth meant is that of memory: the buffer is larger than what a
// process finds in its caches again, also where a cloud machine names a last-level cache of several
// hundred MB that it shares with its neighbours.
inline constexpr std::int64_t kReadProbeBytes = std::int64_t{512} << 20;

// Independent chains of multiply-adds in registers, in the widest vectors that the kernels use;
// median of several timings, about 0.1 s.
double measure_flops_per_second(const Threads& threads);

// Sums over kReadProbeBytes; median of several timings, about 0.5 s. Throws std::bad_alloc where
// that much memory is not to be had.
double measure_read_bytes_per_second(const Threads& threads);

// Both.
MachinePeaks measure_peaks(const Threads& threads);

}  // namespace maskerade
