// A masker with an index that is written in a test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/sdk/masker.hpp"

namespace maskerade::rules {

// Adds the keys whose first component is above 0, as its index found them: it reads keys on the
// host.
class PositiveKeys final : public sdk::RowMasker {
 public:
  struct Index {
    std::vector<std::int32_t> keys;
  };
  static constexpr bool kIndexSpansFuture = true;
  static sdk::Description describe() {
    return {.id = "positive_keys",
            .summary = "keys whose first component is above 0",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kBatch | sdk::kKey};
  }
  explicit PositiveKeys(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    for (const std::int32_t key : row.index<Index>().keys) row.add_key(key);
  }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const auto* keys = static_cast<const float*>(span.keys);
    for (std::int64_t key = span.key_begin; key < span.key_end; ++key) {
      if (keys[(key - span.key_begin) * span.key_row_stride] > 0) {
        index.keys.push_back(static_cast<std::int32_t>(key));
      }
    }
  }
  void truncate(Index& index, std::int64_t key_len) const {
    std::erase_if(index.keys, [=](std::int32_t key) { return key >= key_len; });
  }
  std::size_t size_bytes(const Index& index) const { return index.keys.size() * 4; }
};

}  // namespace maskerade::rules
