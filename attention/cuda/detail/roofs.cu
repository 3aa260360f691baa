#include "attention/cuda/detail/roofs.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChains = 8;  // independent sums of a warp, so that no product waits for another
constexpr double kFlopsOfProduct = 2.0 * 16 * 8 * 16;  // m16n8k16

__global__ void multiply_registers_kernel(float* sink, int rounds) {
  std::uint32_t a[4];
  std::uint32_t b[2];
  for (int i = 0; i < 4; ++i)
    a[i] = 0x3F013F00U + ((threadIdx.x * 4 + i) * 0x00050003U & 0x807F807FU);
  for (int i = 0; i < 2; ++i)
    b[i] = 0x3F023F01U + ((threadIdx.x * 2 + i) * 0x00070005U & 0x807F807FU);
  float sums[kChains][4] = {};
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int chain = 0; chain < kChains; ++chain) {
      float* sum = sums[chain];
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
          "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
  }
  float total = 0;
  for (int chain = 0; chain < kChains; ++chain) {
    for (int i = 0; i < 4; ++i) total += sums[chain][i];
  }
  if (total == 0.5F) *sink = total;
}

}  // namespace

void fill_random(const FillRandom& body, std::int64_t count, cudaStream_t stream) {
  DeviceSteps(stream).for_each(count, body);
}

void read_ring(const ReadRing& body, std::int64_t calls, cudaStream_t stream) {
  DeviceSteps(stream).for_each(calls, body);
}

double multiply_registers(float* sink, int blocks, int rounds, cudaStream_t stream) {
  multiply_registers_kernel<<<blocks, kThreads, 0, stream>>>(sink, rounds);
  check_launch("multiply_registers_kernel");
  return kFlopsOfProduct * kChains * rounds * blocks * (kThreads / 32);
}

}  // namespace maskerade::cuda
