#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framework/base/parallel.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// What arithmetic and memory give: the roof of attainable_ms. Of the machine with a number of
// threads; or of a device, then see DeviceRoofs.
struct MachinePeaks {
  double flops_per_second = 0;       // float32 multiply-adds, two flops each; a device's products
  double read_bytes_per_second = 0;  // from memory; a device's copy, read and written
  // What flops_per_second is of: "vectors", "matrix tiles"; "cuBLASLt", "mma.sync" of a device.
  std::optional<std::string> flops_source = {};
  // Of a device alone: of its second-level cache.
  std::optional<double> l2_bytes_per_second = {};
  // Of a CPU alone: of the matrix unit in use, on bfloat16; 0: none.
  double matrix_flops_per_second = 0;

  // Of float32 arithmetic where the matrix unit takes this many products for one; 0: it takes no
  // part. The larger of what it and the vectors give.
  double flops_with(double matrix_products) const noexcept;
};

// The peaks of attention over this storage: flops_per_second is what its arithmetic gives where the
// matrix unit in use serves it.
MachinePeaks peaks_for(const MachinePeaks& peaks, DType dtype, std::int64_t head_dim);

// The read probe's buffer. The bandwidth meant is that of memory: the buffer is larger than what a
// process finds in its caches again, also where a cloud machine names a last-level cache of several
// hundred MB that it shares with its neighbours.
inline constexpr std::int64_t kReadProbeBytes = std::int64_t{512} << 20;

// Independent chains of multiply-adds in registers, in the widest vectors that the kernels use;
// median of several timings, about 0.1 s.
double measure_flops_per_second(const Threads& threads);

// The same of the matrix unit in use: tiles multiplied in registers; 0: none is in use.
double measure_matrix_flops_per_second(const Threads& threads);

// Sums over kReadProbeBytes; median of several timings, about 0.5 s. Throws std::bad_alloc where
// that much memory is not to be had.
double measure_read_bytes_per_second(const Threads& threads);

// All of them.
MachinePeaks measure_peaks(const Threads& threads);

}  // namespace maskerade
