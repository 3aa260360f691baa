#include "framework/tensor/dtype.hpp"

#include <Eigen/Core>
#include <array>
#include <cstring>

namespace maskerade {
namespace {

struct DTypeName {
  DType dtype;
  std::string_view name;
};
constexpr std::array<DTypeName, 3> kNames = {
    {{DType::kFloat32, "float32"}, {DType::kFloat16, "float16"}, {DType::kBFloat16, "bfloat16"}}};

template <typename Stored>
void widen(const void* source, std::size_t count, float* target) noexcept {
  const auto* values = static_cast<const Stored*>(source);
  for (std::size_t i = 0; i < count; ++i) target[i] = static_cast<float>(values[i]);
}

template <typename Stored>
void narrow(const float* source, std::size_t count, void* target) noexcept {
  auto* values = static_cast<Stored*>(target);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<Stored>(source[i]);
}

}  // namespace

std::size_t size_of(DType dtype) noexcept { return dtype == DType::kFloat32 ? 4 : 2; }

std::string_view name_of(DType dtype) noexcept {
  for (const DTypeName& entry : kNames) {
    if (entry.dtype == dtype) return entry.name;
  }
  return "unknown";
}

std::optional<DType> parse_dtype(std::string_view name) noexcept {
  for (const DTypeName& entry : kNames) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

float load_float(DType dtype, const void* source, std::size_t index) noexcept {
  float value = 0;
  convert_to_float(dtype, static_cast<const std::byte*>(source) + index * size_of(dtype), 1,
                   &value);
  return value;
}

void convert_to_float(DType dtype, const void* source, std::size_t count, float* target) noexcept {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(target, source, count * sizeof(float));
      break;
    case DType::kFloat16:
      widen<Eigen::half>(source, count, target);
      break;
    case DType::kBFloat16:
      widen<Eigen::bfloat16>(source, count, target);
      break;
  }
}

void convert_from_float(DType dtype,
                        const float* source,
                        std::size_t count,
                        void* target) noexcept {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(target, source, count * sizeof(float));
      break;
    case DType::kFloat16:
      narrow<Eigen::half>(source, count, target);
      break;
    case DType::kBFloat16:
      narrow<Eigen::bfloat16>(source, count, target);
      break;
  }
}

}  // namespace maskerade
