#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

namespace maskerade::cuda {

// A bfloat16 product of two square matrices, added in float32, by the cuBLASLt that is found at run
// time.
class MatrixProduct {
 public:
  // Throws Error where there is no cuBLASLt or it refuses.
  MatrixProduct(std::int64_t size, cudaStream_t stream);
  ~MatrixProduct();

  // How many algorithms its heuristics recommend, at least one.
  int algorithms() const noexcept;
  // c = a b^T by one of them; each [size, size], in device memory. Enqueues.
  void multiply(int algorithm, const std::uint16_t* a, const std::uint16_t* b, std::uint16_t* c);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
