#include "attention/cuda/detail/kernels.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade::cuda {

void attend_oracle(const OracleArguments& arguments, std::int64_t rows, cudaStream_t stream) {
  attend_oracle_steps(DeviceSteps(stream), arguments, rows);
}

}  // namespace maskerade::cuda
