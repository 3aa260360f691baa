#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade {

// Owns an array in device memory. The memory is allocated, used and freed in the order of a stream,
// which must outlive the buffer; all functions enqueue their work in it, and only download() waits
// for it. All throw CudaError. Can be moved, not copied.
template <typename T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>, "device memory is copied byte by byte");

 public:
  DeviceBuffer() = default;
  // Allocates `size` elements, which are not cleared.
  DeviceBuffer(std::int64_t size, cudaStream_t stream) : size_(size), stream_(stream) {
    if (size > 0) {
      void* data = nullptr;
      check_cuda(cudaMallocAsync(&data, bytes(), stream), "cudaMallocAsync");
      data_ = static_cast<T*>(data);
    }
  }
  // Allocates as many elements and copies `values` from host memory. `values` must stay as they are
  // until the stream has done the copy, which may be after this returns.
  DeviceBuffer(std::span<const T> values, cudaStream_t stream)
      : DeviceBuffer(static_cast<std::int64_t>(values.size()), stream) {
    if (size_ > 0) {
      check_cuda(cudaMemcpyAsync(data_, values.data(), bytes(), cudaMemcpyHostToDevice, stream),
                 "cudaMemcpyAsync to the device");
    }
  }
  ~DeviceBuffer() { release(); }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  // A new buffer in the same stream with a copy of the elements.
  DeviceBuffer copy() const {
    DeviceBuffer copied(size_, stream_);
    if (size_ > 0) {
      check_cuda(cudaMemcpyAsync(copied.data_, data_, bytes(), cudaMemcpyDeviceToDevice, stream_),
                 "cudaMemcpyAsync on the device");
    }
    return copied;
  }

  cudaStream_t stream() const noexcept { return stream_; }
  T* data() const noexcept { return data_; }
  std::int64_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return static_cast<std::size_t>(size_) * sizeof(T); }

  // Sets every byte to `value`.
  void fill_bytes(int value) const {
    if (size_ > 0) check_cuda(cudaMemsetAsync(data_, value, bytes(), stream_), "cudaMemsetAsync");
  }
  // Copies the first values.size() elements to host memory and waits until they are there.
  void download(std::span<T> values) const {
    if (!values.empty()) {
      check_cuda(cudaMemcpyAsync(values.data(), data_, values.size_bytes(), cudaMemcpyDeviceToHost,
                                 stream_),
                 "cudaMemcpyAsync to the host");
    }
    check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }
  // The first `count` elements, or all, in host memory.
  std::vector<T> download(std::int64_t count) const {
    std::vector<T> values(static_cast<std::size_t>(count));
    download(values);
    return values;
  }
  std::vector<T> download() const { return download(size_); }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(stream_, other.stream_);
  }
  void release() noexcept {
    if (data_ != nullptr) cudaFreeAsync(data_, stream_);
  }

  T* data_ = nullptr;
  std::int64_t size_ = 0;
  cudaStream_t stream_ = nullptr;
};

}  // namespace maskerade
