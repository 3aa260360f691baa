#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framework/base/parallel.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// The highest rates of arithmetic and memory, from which attainable_ms follows. They are those of
// the CPU with a number of threads, or those of a CUDA device (see DeviceRoofs).
struct MachinePeaks {
  // CPU: float32 multiply-adds, two flops each. Device: bfloat16 matrix products.
  double flops_per_second = 0;
  // CPU: reading memory. Device: copying memory, bytes read and bytes written together.
  double read_bytes_per_second = 0;
  // What gives flops_per_second: on a CPU "vectors" or "matrix tiles", on a device "cuBLASLt" or
  // "mma.sync".
  std::optional<std::string> flops_source = {};
  // Reading the second-level cache of a device; absent for a CPU.
  std::optional<double> l2_bytes_per_second = {};
  // The bfloat16 rate of the CPU's matrix unit; 0: none is in use, or these are a device's peaks.
  double matrix_flops_per_second = 0;

  // The highest rate of float32 arithmetic when the matrix unit needs `matrix_products` bfloat16
  // products for each float32 product: the larger of its rate and that of the vectors. 0 products:
  // the matrix unit is not used.
  double flops_with(double matrix_products) const noexcept;
};

// The peaks for attention over inputs of one dtype and head_dim on a CPU: flops_per_second and
// flops_source are those of the matrix unit where it is in use for such inputs and faster than the
// vectors.
MachinePeaks peaks_for(const MachinePeaks& peaks, DType dtype, std::int64_t head_dim);

// The size of the buffer that measure_read_bytes_per_second() reads. Rationale: it must exceed all
// caches, so that the bandwidth is that of memory. Cloud machines report last-level caches of
// several hundred MB, of which a process gets only a part.
inline constexpr std::int64_t kReadProbeBytes = std::int64_t{512} << 20;

// Measures float32 multiply-adds in registers, in the widest vectors that the kernels use, on all
// of `threads`: the best of several timings, which take about 0.1 s.
double measure_flops_per_second(const Threads& threads);

// Measures bfloat16 products of tiles in registers of the CPU's matrix unit, in the same way. 0:
// none is in use.
double measure_matrix_flops_per_second(const Threads& threads);

// Measures reading kReadProbeBytes of memory once: the best of several timings, which take about
// 0.5 s. Throws std::bad_alloc where that is more than half of the memory that the process may use.
double measure_read_bytes_per_second(const Threads& threads);

// The larger of each rate of the CPU.
MachinePeaks larger_of(const MachinePeaks& a, const MachinePeaks& b);

// Measures all three. Throws std::bad_alloc like measure_read_bytes_per_second().
MachinePeaks measure_peaks(const Threads& threads);

}  // namespace maskerade
