// The services of the host that a masker may use for as long as it lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "framework/sdk/dependencies.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

// A tensor of a file, row-major. A view: valid as long as the masker that read it.
class FileTensor {
 public:
  FileTensor(const maskerade_tensor& tensor, std::string what)
      : tensor_(tensor), what_(std::move(what)) {}

  std::span<const std::int64_t> shape() const { return {tensor_.shape, tensor_.rank}; }
  std::size_t size() const {
    std::size_t size = 1;
    for (const std::int64_t axis : shape()) size *= static_cast<std::size_t>(axis);
    return size;
  }
  std::span<const float> floats() const {
    return typed<float>(MASKERADE_TENSOR_FLOAT32, "floating-point numbers");
  }
  std::span<const std::int64_t> integers() const {
    return typed<std::int64_t>(MASKERADE_TENSOR_INT64, "whole numbers");
  }
  std::span<const std::uint8_t> bytes() const {
    return typed<std::uint8_t>(MASKERADE_TENSOR_UINT8, "bytes or booleans");
  }
  std::uint32_t type() const { return tensor_.type; }
  // "FILE: tensor "NAME"", for messages.
  const std::string& what() const { return what_; }
  // Throws unless the shape is `expected`; -1 stands for any size. axes: "[heads, head_dim]".
  const FileTensor& require_shape(std::initializer_list<std::int64_t> expected,
                                  const char* axes) const {
    bool fits = expected.size() == tensor_.rank;
    std::string wanted;
    std::string found;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::int64_t size = expected.begin()[i];
      fits = fits && (size < 0 || size == tensor_.shape[i]);
      wanted += (i > 0 ? ", " : "") + (size < 0 ? std::string("any") : std::to_string(size));
    }
    for (const std::int64_t size : shape()) {
      found += (found.empty() ? "" : ", ") + std::to_string(size);
    }
    if (!fits) {
      throw std::runtime_error(what_ + ": its shape is [" + found + "]; it must be " + axes +
                               " = [" + wanted + "]");
    }
    return *this;
  }

 private:
  template <typename Value>
  std::span<const Value> typed(std::uint32_t type, const char* wanted) const {
    if (tensor_.type != type) {
      throw std::runtime_error(what_ + ": it must hold " + wanted);
    }
    return {static_cast<const Value*>(tensor_.data), size()};
  }

  maskerade_tensor tensor_;
  std::string what_;
};

inline std::int64_t element_bytes(std::uint32_t dtype) {
  return dtype == MASKERADE_FLOAT32 ? 4 : 2;
}
// The address of key `key` of a span: head_dim values of span.dtype.
inline const void* key_of(const maskerade_key_span& span, std::int64_t key) {
  return static_cast<const std::byte*>(span.keys) +
         (key - span.key_begin) * span.key_row_stride * element_bytes(span.dtype);
}
// The address of row `index` of a head of q, k or v: head_dim values of matrix.dtype.
inline const void* row_of(const maskerade_matrix& matrix, std::int64_t head, std::int64_t index) {
  return static_cast<const std::byte*>(matrix.data) +
         (head * matrix.head_stride + index * matrix.row_stride) * element_bytes(matrix.dtype);
}

// The host of an instance: lives as long as it does. [any thread]
class Host {
 public:
  explicit Host(const maskerade_host* host) : host_(host) {}

  // A tensor of a safetensors or JSON file, or the array of an npy file (name ""). Throws.
  FileTensor tensor(const std::string& file, const std::string& name = "") const {
    maskerade_tensor tensor{};
    tensor.struct_size = sizeof(tensor);
    char error[1024] = "";
    if (host_->read_tensor(host_, file.c_str(), name.c_str(), &tensor, error, sizeof(error)) !=
        MASKERADE_OK) {
      throw std::runtime_error(error);
    }
    return {tensor, file + (name.empty() ? "" : ": tensor \"" + name + "\"")};
  }
  bool has_tensor(const std::string& file, const std::string& name) const {
    return host_->has_tensor(host_, file.c_str(), name.c_str()) != 0;
  }
  // Uniform numbers in [0, 1), and standard normal ones: numbers first ... first + numbers.size() -
  // 1 of the sequence of that purpose. Throw unless the masker declares MASKERADE_DEPENDS_SEED.
  void uniforms(std::uint32_t purpose, std::uint64_t first, std::span<double> numbers) const {
    require_seed();
    host_->uniforms(host_, purpose, first, numbers.size(), numbers.data());
  }
  void normals(std::uint32_t purpose, std::uint64_t first, std::span<float> numbers) const {
    require_seed();
    host_->normals(host_, purpose, first, numbers.size(), numbers.data());
  }
  // Widens `count` values to float32.
  void to_float(std::uint32_t dtype, const void* source, std::size_t count, float* target) const {
    host_->to_float(dtype, source, count, target);
  }
  // How positions were applied to q and k; nullptr where the data does not say.
  const maskerade_rope* rope() const { return host_->rope; }
  // Apply positions to vectors [positions.size()][dim] as q and k have them, and undo it up to
  // rounding. Throw where the data does not say how, or turns more components than dim.
  void rotate(std::span<float> vectors, std::span<const std::int64_t> positions) const {
    require_rope(host_->rotate(host_, vectors.data(), positions.size(), dim_of(vectors, positions),
                               positions.data()));
  }
  void unrotate(std::span<float> vectors, std::span<const std::int64_t> positions) const {
    require_rope(host_->unrotate(host_, vectors.data(), positions.size(),
                                 dim_of(vectors, positions), positions.data()));
  }
  // products[i * product_stride + j] = vectors[i] . rows[j]; vectors [vector_count][dim], rows
  // [count] row_stride apart. product_stride is `count` unless given.
  void multiply_rows(std::span<const float> vectors,
                     const float* rows,
                     std::int64_t row_stride,
                     std::size_t count,
                     std::size_t dim,
                     float* products,
                     std::int64_t product_stride = 0) const {
    host_->multiply_rows(vectors.data(), vectors.size() / dim, rows, row_stride, count, dim,
                         products,
                         product_stride != 0 ? product_stride : static_cast<std::int64_t>(count));
  }
  // matches[j] = the number of equal bits of `signature`, [words], and of signatures[j], [words].
  void match_bits(std::span<const std::uint64_t> signature,
                  std::span<const std::uint64_t> signatures,
                  std::span<float> matches) const {
    host_->match_bits(signature.data(), signatures.data(), signature.size(), matches.size(),
                      matches.data());
  }
  // weights[j] = exp(scale * (scores[j] - top)).
  void exponentials(std::span<const float> scores,
                    double scale,
                    float top,
                    std::span<double> weights) const {
    host_->exponentials(scores.data(), scores.size(), scale, top, weights.data());
  }

 private:
  static std::size_t dim_of(std::span<const float> vectors,
                            std::span<const std::int64_t> positions) {
    return positions.empty() ? 0 : vectors.size() / positions.size();
  }
  static void require_rope(std::int32_t status) {
    if (status == MASKERADE_OK) return;
    throw std::runtime_error(
        "the data does not say how positions were applied to vectors like "
        "these");
  }
  void require_seed() const {
    require_declared(host_, MASKERADE_DEPENDS_SEED, "asks the host for random numbers");
  }

  const maskerade_host* host_;
};

}  // namespace maskerade::sdk
