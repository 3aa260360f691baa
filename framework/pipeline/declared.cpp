#include "framework/pipeline/declared.hpp"

#include <string>

#include "framework/base/error.hpp"
#include "framework/sdk/dependencies.hpp"

namespace maskerade {

std::uint32_t readable_by(const maskerade_masker_descriptor& masker) noexcept {
  constexpr std::uint32_t kFirstMinorThatHides = 2;
  constexpr std::uint32_t kShownBefore =
      MASKERADE_DEPENDS_SHAPE | MASKERADE_DEPENDS_HEAD | MASKERADE_DEPENDS_BATCH;
  return masker.abi_minor < kFirstMinorThatHides ? masker.depends_on | kShownBefore
                                                 : masker.depends_on;
}

void require_declared_flags(std::uint32_t flags, std::uint32_t readable, const char* service) {
  const std::string text = sdk::undeclared_text(flags, readable, std::string("calls ") + service);
  if (!text.empty()) throw Error(text);
}

maskerade_shape shown_shape(const AttentionShape& shape, std::uint32_t readable) noexcept {
  const bool lengths = (readable & MASKERADE_DEPENDS_SHAPE) != 0;
  return {shape.batch,
          shape.query_heads,
          shape.kv_heads,
          lengths ? shape.query_len : 0,
          lengths ? shape.key_len : 0,
          shape.head_dim};
}

std::uint32_t shown_causal(const Visibility& visibility, std::uint32_t readable) noexcept {
  return (readable & MASKERADE_DEPENDS_SHAPE) != 0 && visibility.is_causal() ? 1 : 0;
}

maskerade_key_span shown_keys(const AttentionInputs& inputs,
                              std::int64_t item,
                              std::int64_t begin,
                              std::int64_t end,
                              std::uint32_t readable,
                              const maskerade_host* host) noexcept {
  const std::int64_t batch = item / inputs.shape.kv_heads;
  const std::int64_t kv_head = item % inputs.shape.kv_heads;
  const auto may_read = [&](std::uint32_t flag) { return (readable & flag) != 0; };
  maskerade_key_span span{};
  span.struct_size = sizeof(span);
  span.dtype = static_cast<std::uint32_t>(inputs.k.dtype);
  span.keys = inputs.k.row(batch, kv_head, begin);
  span.values = may_read(MASKERADE_DEPENDS_VALUE) ? inputs.v.row(batch, kv_head, begin) : nullptr;
  span.key_row_stride = inputs.k.row_stride;
  span.value_row_stride = inputs.v.row_stride;
  span.key_begin = begin;
  span.key_end = end;
  span.head_dim = inputs.shape.head_dim;
  span.layer = inputs.layer;
  span.batch = may_read(MASKERADE_DEPENDS_BATCH) ? batch : 0;
  span.kv_head = may_read(MASKERADE_DEPENDS_HEAD) ? kv_head : 0;
  span.host = host;
  return span;
}

}  // namespace maskerade
