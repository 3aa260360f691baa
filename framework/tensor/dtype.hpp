#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace maskerade {

// In which type the elements of q, k and v are stored. Arithmetic is in float32 (the oracle's in
// float64) whatever the storage. The numbers are those of masker_abi.h.
enum class DType : std::uint32_t { kFloat32 = 0, kFloat16 = 1, kBFloat16 = 2 };

std::size_t size_of(DType dtype) noexcept;       // bytes of one element
std::string_view name_of(DType dtype) noexcept;  // "float32", "float16", "bfloat16"
// The dtype that name_of() calls so; nothing for another name.
std::optional<DType> parse_dtype(std::string_view name) noexcept;

// Element `index` of the array `source` of dtype, widened to float32 without rounding.
float load_float(DType dtype, const void* source, std::size_t index) noexcept;
// Widens source[0 .. count) of dtype to float32 in target[0 .. count), without rounding.
void convert_to_float(DType dtype, const void* source, std::size_t count, float* target) noexcept;
// Narrows source[0 .. count) to dtype in target[0 .. count), rounding to nearest, ties to even.
void convert_from_float(DType dtype, const float* source, std::size_t count, void* target) noexcept;

}  // namespace maskerade
