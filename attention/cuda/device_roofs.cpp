#include "attention/cuda/device_roofs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "attention/cuda/detail/matrix_product.hpp"
#include "attention/cuda/detail/roofs.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/cuda/stream.hpp"

namespace maskerade {
namespace {

constexpr int kWarmUps = 3;
constexpr int kTimings = 15;
constexpr std::int64_t kCopyOverL2 = 16;    // bytes copied, in sizes of the second-level cache
constexpr std::int64_t kRingRounds = 64;    // how often one launch reads the ring
constexpr std::int64_t kMatrixSize = 8192;  // rows of the matrices: three fill 0.4 GB
constexpr int kRegisterRounds = 4096;       // rounds of products in registers of one launch
constexpr int kRegisterBlocksOfMultiprocessor = 4;

// The least time of what body() enqueues on the stream, in seconds, by events. Rationale: a roof is
// what the device can do.
template <typename Body>
double least_seconds(cudaStream_t stream, const Body& body) {
  CudaEvent begin;
  CudaEvent end;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kWarmUps + kTimings; ++i) {
    begin.record(stream);
    body();
    end.record(stream);
    const double ms = end.ms_since(begin);
    if (i >= kWarmUps) least = std::min(least, ms / 1000);
  }
  return least;
}

// Bytes per second read and written by a copy within device memory.
double measure_copy(cudaStream_t stream) {
  const std::int64_t bytes = kCopyOverL2 * cuda_device().l2_bytes;
  const DeviceBuffer<std::byte> from(bytes, stream);
  const DeviceBuffer<std::byte> to(bytes, stream);
  cuda::fill_random({reinterpret_cast<std::uint16_t*>(from.data())}, bytes / 2, stream);
  return 2.0 * static_cast<double>(bytes) / least_seconds(stream, [&] {
           check_cuda(cudaMemcpyAsync(to.data(), from.data(), from.bytes(),
                                      cudaMemcpyDeviceToDevice, stream),
                      "cudaMemcpyAsync on the device");
         });
}

// Bytes per second read from the second-level cache, over memory of 1 / share_of_l2 of its size.
double measure_l2(cudaStream_t stream, std::int64_t share_of_l2) {
  constexpr auto kPiece = static_cast<std::int64_t>(sizeof(cuda::Words16));
  const std::int64_t threads =
      cuda_device().l2_bytes / share_of_l2 / kPiece / cuda::ReadRing::kReads;
  const std::int64_t pieces = threads * cuda::ReadRing::kReads;
  const DeviceBuffer<cuda::Words16> ring(pieces, stream);
  ring.fill_bytes(0);
  const DeviceBuffer<std::uint64_t> odd(1, stream);
  const cuda::ReadRing body{ring.data(), static_cast<std::uint32_t>(pieces), odd.data()};
  return static_cast<double>(pieces * kPiece * kRingRounds) /
         least_seconds(stream, [&] { cuda::read_ring(body, threads * kRingRounds, stream); });
}

// Sets the matrix roof: the fastest of cuBLASLt's algorithms, or products in registers where there
// is no cuBLASLt.
void measure_matrix(cudaStream_t stream, DeviceRoofs& roofs) {
  std::unique_ptr<cuda::MatrixProduct> product;
  try {
    product = std::make_unique<cuda::MatrixProduct>(kMatrixSize, stream);
  } catch (const CudaError&) {
    throw;
  } catch (const Error&) {
    const DeviceBuffer<float> sink(1, stream);
    const int blocks = kRegisterBlocksOfMultiprocessor * cuda_device().multiprocessors;
    double flops = 0;
    const double seconds = least_seconds(stream, [&] {
      flops = cuda::multiply_registers(sink.data(), blocks, kRegisterRounds, stream);
    });
    roofs.matrix_flops_per_second = flops / seconds;
    roofs.matrix_source = "mma.sync";
    return;
  }
  constexpr std::int64_t kCount = kMatrixSize * kMatrixSize;
  const DeviceBuffer<std::uint16_t> a(kCount, stream);
  const DeviceBuffer<std::uint16_t> b(kCount, stream);
  const DeviceBuffer<std::uint16_t> c(kCount, stream);
  cuda::fill_random({a.data()}, kCount, stream);
  cuda::fill_random({b.data()}, kCount, stream);
  constexpr double kFlops = 2.0 * kMatrixSize * kMatrixSize * kMatrixSize;
  for (int algorithm = 0; algorithm < product->algorithms(); ++algorithm) {
    try {
      const double seconds = least_seconds(
          stream, [&] { product->multiply(algorithm, a.data(), b.data(), c.data()); });
      roofs.matrix_flops_per_second = std::max(roofs.matrix_flops_per_second, kFlops / seconds);
    } catch (const CudaError&) {
      throw;
    } catch (const Error&) {
      continue;  // cuBLASLt refuses to run some of the algorithms that it recommends
    }
  }
  if (roofs.matrix_flops_per_second == 0)
    throw Error("cuBLASLt refused to run every algorithm that it recommends");
  roofs.matrix_source = "cuBLASLt";
}

}  // namespace

DeviceRoofs measure_device_roofs() {
  if (!cuda_device().is_available) throw Error(cuda_device().reason);
  const CudaStream stream;
  DeviceRoofs roofs;
  roofs.copy_bytes_per_second = measure_copy(stream.get());
  // Rationale: on devices whose second-level cache has two halves, each half may keep its own copy
  // of what both read; so smaller shares are tried too, and the fastest counts.
  for (const std::int64_t share : {2, 4, 8}) {
    roofs.l2_read_bytes_per_second =
        std::max(roofs.l2_read_bytes_per_second, measure_l2(stream.get(), share));
  }
  measure_matrix(stream.get(), roofs);
  stream.synchronize();
  return roofs;
}

}  // namespace maskerade
