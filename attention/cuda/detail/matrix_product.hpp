#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

namespace maskerade::cuda {

// Products of two square bfloat16 matrices with float32 sums, by the cuBLASLt library that is found
// at run time: the fastest that the device's matrix units are known to do.
class MatrixProduct {
 public:
  // size: rows of the matrices. Throws Error when cuBLASLt is not found or refuses the product.
  MatrixProduct(std::int64_t size, cudaStream_t stream);
  ~MatrixProduct();

  // How many algorithms cuBLASLt recommends for the product, at least one.
  int algorithms() const noexcept;
  // Enqueues c = a b^T by algorithm 0 ... algorithms() - 1. a, b, c: [size, size] in device memory,
  // owned by the caller. Throws Error when cuBLASLt refuses to run the algorithm.
  void multiply(int algorithm, const std::uint16_t* a, const std::uint16_t* b, std::uint16_t* c);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
