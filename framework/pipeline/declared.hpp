#pragma once

#include <cstdint>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade {

// What a masker may read through the boundary, MASKERADE_DEPENDS_*: what it declares. To a plugin
// of a version before 1.2 lengths and the numbers of heads and batch entries are shown, too, as its
// version did.
std::uint32_t readable_by(const maskerade_masker_descriptor& masker) noexcept;

// Throws Error unless the flags that a masker may read hold all of `flags`, which `service` needs.
void require_declared_flags(std::uint32_t flags, std::uint32_t readable, const char* service);

// The shape as such a masker is shown it.
maskerade_shape shown_shape(const AttentionShape& shape, std::uint32_t readable) noexcept;
// Whether attention is causal, likewise.
std::uint32_t shown_causal(const Visibility& visibility, std::uint32_t readable) noexcept;
// Keys [begin, end) of number `item` of [batch][kv_heads], likewise.
maskerade_key_span shown_keys(const AttentionInputs& inputs,
                              std::int64_t item,
                              std::int64_t begin,
                              std::int64_t end,
                              std::uint32_t readable,
                              const maskerade_host* host) noexcept;

}  // namespace maskerade
