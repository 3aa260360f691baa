// The keys that the functions of an index get: those to build it from, to append, or to keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/sdk/dependencies.hpp"
#include "framework/sdk/host.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

// A view of the keys of one kv head; valid as long as the maskerade_key_span that it is made of.
class KeySpan {
 public:
  explicit KeySpan(const maskerade_key_span& span) : span_(&span) {}

  std::int64_t begin() const { return span_->key_begin; }
  std::int64_t end() const { return span_->key_end; }
  // Each throws unless the masker declares the flag beside it.
  std::int64_t kv_head() const {  // kHead
    require_declared(span_->host, MASKERADE_DEPENDS_HEAD, "asks for the number of its kv head");
    return span_->kv_head;
  }
  std::int64_t batch() const {  // kBatch
    require_declared(span_->host, MASKERADE_DEPENDS_BATCH,
                     "asks for the number of its batch entry");
    return span_->batch;
  }
  std::size_t dim() const { return static_cast<std::size_t>(span_->head_dim); }
  Host host() const { return Host(span_->host); }

  // Keys [first, last), widened to float32. [last - first][head_dim]
  std::vector<float> keys(std::int64_t first, std::int64_t last) const {
    return widened(span_->keys, span_->key_row_stride, first, last);
  }
  // The same of values.
  std::vector<float> values(std::int64_t first, std::int64_t last) const {  // kValue
    require_declared(span_->host, MASKERADE_DEPENDS_VALUE, "reads values");
    return widened(span_->values, span_->value_row_stride, first, last);
  }
  // Calls body(first, last) for a thousand keys at a time.
  template <typename Body>
  void for_each_chunk(Body&& body) const {
    constexpr std::int64_t kTogether = 1024;
    for (std::int64_t first = begin(); first < end(); first += kTogether) {
      body(first, first + kTogether < end() ? first + kTogether : end());
    }
  }

 private:
  std::vector<float> widened(const void* data,
                             std::int64_t row_stride,
                             std::int64_t first,
                             std::int64_t last) const {
    const std::int64_t element = span_->dtype == MASKERADE_FLOAT32 ? 4 : 2;
    std::vector<float> rows(static_cast<std::size_t>(last - first) * dim());
    for (std::int64_t key = first; key < last; ++key) {
      const std::int64_t offset = (key - begin()) * row_stride * element;
      host().to_float(span_->dtype, static_cast<const std::byte*>(data) + offset, dim(),
                      &rows[static_cast<std::size_t>(key - first) * dim()]);
    }
    return rows;
  }

  const maskerade_key_span* span_;
};

}  // namespace maskerade::sdk
