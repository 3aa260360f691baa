#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "framework/select/cuda/select_jobs.hpp"

namespace maskerade::cuda {

// The kernel of multiply(). A block computes the products of kVectors vectors with kThreads keys;
// each thread has one key, so that one thread sums each product in one order. Keys and vectors are
// loaded to shared memory in pieces of kPiece components. Keys are read from memory along their
// components, as they lie, and stored transposed, in rows of kKeyStride floats, so that neither
// writing nor reading them has bank conflicts.
template <typename Lane, DType kType>
class ProductKernel {
 public:
  static constexpr int kThreads = 128;
  static constexpr int kVectors = kVectorsOfKeys;
  static constexpr int kPiece = 32;
  static constexpr int kKeyStride = kThreads + 1;
  static constexpr int kSharedBytes = (kPiece * kKeyStride + kPiece * kVectors) * 4;

  // How many blocks of threads a job needs. Blocks are numbered by group, then by vectors of the
  // group, then by keys.
  MASKERADE_HOST_DEVICE static std::int64_t key_blocks(const ProductJob& job) {
    return ceil_div(job.key_count, kThreads);
  }
  MASKERADE_HOST_DEVICE static std::int64_t vector_blocks(const ProductJob& job) {
    return ceil_div(smaller(job.group_vectors, job.last - job.first), kVectors);
  }
  MASKERADE_HOST_DEVICE static std::int64_t blocks(const ProductJob& job) {
    const std::int64_t groups =
        (job.last - 1) / job.group_vectors - job.first / job.group_vectors + 1;
    return groups * vector_blocks(job) * key_blocks(job);
  }

  MASKERADE_DEVICE ProductKernel(Lane& lane, const ProductJob& job, std::byte* shared)
      : lane_(lane), job_(job), keys_(reinterpret_cast<float*>(shared)) {
    vectors_ = keys_ + kPiece * kKeyStride;
  }

  MASKERADE_DEVICE void run() {
    const std::int64_t key_block = lane_.block() % key_blocks(job_);
    const std::int64_t vector_block = lane_.block() / key_blocks(job_) % vector_blocks(job_);
    const std::int64_t group =
        job_.first / job_.group_vectors + lane_.block() / key_blocks(job_) / vector_blocks(job_);
    first_ = larger(job_.first, group * job_.group_vectors) + vector_block * kVectors;
    const std::int64_t last =
        smaller(smaller(job_.last, (group + 1) * job_.group_vectors), first_ + kVectors);
    first_key_ = key_block * kThreads;
    count_ = static_cast<int>(last - first_);
    if (count_ <= 0 || first_key_ >= end_of_keys(last)) return;
    float sums[kVectors];
    MASKERADE_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[v] = 0;
    for (std::int64_t begin = 0; begin < job_.dim; begin += kPiece) {
      load(group, begin);
      lane_.sync();
      const int size = static_cast<int>(smaller<std::int64_t>(kPiece, job_.dim - begin));
      for (int d = 0; d < size; ++d) {
        const float key = keys_[d * kKeyStride + lane_.thread()];
        MASKERADE_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          sums[v] = fmaf(vectors_[d * kVectors + v], key, sums[v]);
        }
      }
      lane_.sync();
    }
    const std::int64_t key = first_key_ + lane_.thread();
    if (key >= job_.key_count) return;
    MASKERADE_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if (v < count_) {
        job_.products[(first_ + v - job_.first) * job_.product_stride + key] = sums[v];
      }
    }
  }

 private:
  // One past the last key that any of the vectors [first_, last) needs.
  MASKERADE_DEVICE std::int64_t end_of_keys(std::int64_t last) const {
    if (job_.ends == nullptr) return job_.key_count;
    std::int64_t end = 0;
    for (std::int64_t v = first_; v < last; ++v) {
      end = larger<std::int64_t>(end, job_.ends[v % job_.end_count]);
    }
    return end;
  }
  // Loads kPiece components, from `begin` on, of the block's keys and vectors to shared memory.
  MASKERADE_DEVICE void load(std::int64_t group, std::int64_t begin) {
    for (int i = lane_.thread(); i < kThreads * kPiece; i += kThreads) {
      const int d = i % kPiece;
      const std::int64_t key = first_key_ + i / kPiece;
      if (begin + d >= job_.dim || key >= job_.key_count) continue;
      keys_[d * kKeyStride + i / kPiece] = lane_.template load<kType>(
          job_.keys, group * job_.key_group_stride + key * job_.key_stride + begin + d);
    }
    for (int i = lane_.thread(); i < kVectors * kPiece; i += kThreads) {
      const int d = i % kPiece;
      const int v = i / kPiece;
      if (begin + d >= job_.dim || v >= count_) continue;
      vectors_[d * kVectors + v] =
          lane_.template load<kType>(job_.vectors, (first_ + v) * job_.dim + begin + d);
    }
  }

  Lane& lane_;
  const ProductJob& job_;
  float* keys_;                 // [kPiece][kKeyStride]
  float* vectors_;              // [kPiece][kVectors]
  std::int64_t first_ = 0;      // the block's first vector
  std::int64_t first_key_ = 0;  // the block's first key
  int count_ = 0;               // the block's vectors
};

}  // namespace maskerade::cuda
