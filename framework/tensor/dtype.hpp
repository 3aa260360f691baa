#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace maskerade {

// Storage types of q, k, v. Arithmetic is float32 (oracle: float64) whatever the storage. The
// values are those of masker_abi.h.
enum class DType : std::uint32_t { kFloat32 = 0, kFloat16 = 1, kBFloat16 = 2 };

std::size_t size_of(DType dtype) noexcept;       // bytes of one element
std::string_view name_of(DType dtype) noexcept;  // "float32", "float16", "bfloat16"
std::optional<DType> parse_dtype(std::string_view name) noexcept;

// Element `index` of an array of dtype, widened exactly.
float load_float(DType dtype, const void* source, std::size_t index) noexcept;
// Widens `count` elements to float32, exactly.
void convert_to_float(DType dtype, const void* source, std::size_t count, float* target) noexcept;
// Narrows `count` float32 values to dtype, round to nearest even.
void convert_from_float(DType dtype, const float* source, std::size_t count, void* target) noexcept;

}  // namespace maskerade
