#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// The rates by which the time of a row block is predicted, in nanoseconds of one worker. A
// component is one of the head_dim numbers of a key together with that of its value; an entry is
// one pair of a row and a key.
struct KernelRates {
  double row_block = 0;           // for each row block: loading queries, storing the output
  double component = 0;           // for each component of keys in a run: reading, widening, packing
  double gathered_component = 0;  // for each component of keys that are listed one by one
  double entry = 0;               // for each entry: softmax
  double masked_entry = 0;        // added for each entry where some rows leave keys out
  double product = 0;             // for each entry and component: both products

  friend bool operator==(const KernelRates&, const KernelRates&) = default;
};

// What a row block reads and computes.
struct BlockWork {
  std::int64_t rows = 0;
  std::int64_t keys = 0;           // all keys
  std::int64_t gathered_keys = 0;  // of all keys, those that are listed one by one
  std::int64_t masked_keys = 0;    // of all keys, those in key blocks that have bits
  // Whether no other row block reads the same K and V, so that they come from memory.
  bool is_decode = false;
};

// The most rows of a row block that the few-rows kernel takes, which reads keys and values in
// place. With more rows it is faster to pack them first, and arithmetic counts most. Both kernels
// are priced and calibrated apart.
inline constexpr std::int64_t kFewRows = 16;

// Predicts how long attending to row blocks takes, so that the fastest kernel can be chosen for
// each tile row. Only the ratios of its numbers matter.
struct CostModel {
  struct Rates {
    KernelRates decode;  // up to kFewRows rows, K and V in memory
    KernelRates
        few_rows;  // up to kFewRows rows, K and V in a cache for all row blocks but the first
    KernelRates many_rows;  // more rows, K and V in a cache for all row blocks but the first

    friend bool operator==(const Rates&, const Rates&) = default;
  };
  std::array<Rates, 3> rates;  // by dtype, see of()
  std::string origin;          // "default", or "calibrated" and when

  // Rounded rates of an AVX-512 server with two cores. They choose well on most machines.
  static CostModel defaults();

  Rates& of(DType dtype) { return rates[static_cast<std::size_t>(dtype)]; }
  const Rates& of(DType dtype) const { return rates[static_cast<std::size_t>(dtype)]; }

  // The predicted nanoseconds of one row block.
  double block_ns(DType dtype, std::int64_t head_dim, const BlockWork& work) const;

  friend bool operator==(const CostModel&, const CostModel&) = default;
};

}  // namespace maskerade
