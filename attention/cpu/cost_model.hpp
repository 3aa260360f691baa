#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// What a row block costs, in nanoseconds of one worker. A component is one of head_dim numbers of a
// key and of its value; an entry is one row and key.
struct KernelRates {
  double row_block = 0;           // each row block: queries loaded, output stored
  double component = 0;           // each component of keys in a run: read, widened, packed
  double gathered_component = 0;  // each component of listed keys
  double entry = 0;               // each entry: softmax
  double masked_entry = 0;        // more, where not all rows attend to all keys: the bits
  double product = 0;             // each entry and component: both products

  friend bool operator==(const KernelRates&, const KernelRates&) = default;
};

// What a row block reads and computes.
struct BlockWork {
  std::int64_t rows = 0;
  std::int64_t keys = 0;           // gathered or not
  std::int64_t gathered_keys = 0;  // of these
  std::int64_t masked_keys = 0;    // of these: in key blocks that have bits
  bool is_decode = false;          // no other row blocks read the same K and V from a cache
};

// Up to this many rows, reading keys counts most. Above, arithmetic does.
inline constexpr std::int64_t kFewRows = 8;

// Predicts what attending takes, so that the cheapest kernel can be chosen for each tile row. Only
// the ratios of its numbers matter.
struct CostModel {
  struct Rates {
    KernelRates decode;     // few rows, K and V in memory
    KernelRates few_rows;   // K and V in a cache for all row blocks but the first
    KernelRates many_rows;  // the same

    friend bool operator==(const Rates&, const Rates&) = default;
  };
  std::array<Rates, 3> rates;  // by dtype, see of()
  std::string origin;          // "default", "calibrated 2026-11-21 14:03:59"

  // Of an AVX-512 server with two cores, rounded: right enough to choose on most machines.
  static CostModel defaults();

  Rates& of(DType dtype) { return rates[static_cast<std::size_t>(dtype)]; }
  const Rates& of(DType dtype) const { return rates[static_cast<std::size_t>(dtype)]; }

  // Nanoseconds of one row block.
  double block_ns(DType dtype, std::int64_t head_dim, const BlockWork& work) const;

  friend bool operator==(const CostModel&, const CostModel&) = default;
};

}  // namespace maskerade
