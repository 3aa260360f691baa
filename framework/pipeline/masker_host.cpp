#include "framework/pipeline/masker_host.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/philox.hpp"
#include "framework/sdk/dependencies.hpp"
#include "framework/select/exponentials.hpp"
#include "framework/select/key_tile.hpp"
#include "framework/select/match_bits.hpp"
#include "framework/select/stream_scores.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {
namespace {

// Stands for batch and head in the key of random numbers that are the same for all of them; no real
// batch or head has this number.
constexpr std::uint32_t kForAll = std::numeric_limits<std::uint32_t>::max();

void multiply_rows(const float* vectors,
                   std::size_t vector_count,
                   const float* rows,
                   std::int64_t row_stride,
                   std::size_t count,
                   std::size_t dim,
                   float* products,
                   std::int64_t product_stride) {
  if (count == 1 && product_stride == 1 && vector_count > 1) {
    // Rationale: a tile for one row would be nearly empty; a product is the same from either side.
    return multiply_rows(rows, 1, vectors, static_cast<std::int64_t>(dim), vector_count, dim,
                         products, static_cast<std::int64_t>(vector_count));
  }
  const auto length = static_cast<std::int64_t>(count);
  const auto width = static_cast<std::int64_t>(dim);
  const TensorView view{.data = rows,
                        .dtype = DType::kFloat32,
                        .batch = 1,
                        .heads = 1,
                        .length = length,
                        .dim = width,
                        .row_stride = row_stride};
  if (vector_count <= std::size_t{kMostStreamedRows}) {
    if (vector_count == 0) return;
    return stream_scores(vectors, width, static_cast<int>(vector_count), view, 0, 0, 0, length,
                         products, product_stride);
  }
  const auto packed = aligned_floats(static_cast<std::size_t>(kPackedKeys) * dim);
  std::vector<float> tile(vector_count * static_cast<std::size_t>(kPackedKeys));
  for (std::int64_t first = 0; first < length; first += kPackedKeys) {
    const std::int64_t here = std::min(kPackedKeys, length - first);
    pack_keys(view, 0, 0, first, static_cast<int>(here), packed.get());
    score_tile(vectors, width, static_cast<int>(vector_count), packed.get(), width, tile.data(),
               kPackedKeys);
    for (std::size_t i = 0; i < vector_count; ++i) {
      std::copy_n(tile.data() + i * static_cast<std::size_t>(kPackedKeys), here,
                  products + static_cast<std::int64_t>(i) * product_stride + first);
    }
  }
}

void fill_error(const char* text, char* error, std::size_t error_size) {
  if (error_size == 0) return;
  std::strncpy(error, text, error_size - 1);
  error[error_size - 1] = '\0';
}

}  // namespace

struct MaskerHostFunctions {
  static MaskerHost& host_of(const maskerade_host* host) {
    return *static_cast<MaskerHost*>(host->self);
  }

  static std::int32_t read_tensor(const maskerade_host* host,
                                  const char* file,
                                  const char* name,
                                  maskerade_tensor* tensor,
                                  char* error,
                                  std::size_t error_size) noexcept {
    try {
      if (tensor->struct_size < sizeof(maskerade_tensor)) {
        throw Error("read_tensor: set tensor->struct_size to sizeof(maskerade_tensor)");
      }
      const NumberTensor& found = host_of(host).tensor(file, name);
      tensor->type = static_cast<std::uint32_t>(found.values.index());
      tensor->data =
          std::visit([](const auto& values) -> const void* { return values.data(); }, found.values);
      tensor->rank = found.shape.size();
      tensor->shape = found.shape.data();
      return MASKERADE_OK;
    } catch (const std::exception& exception) {
      fill_error(exception.what(), error, error_size);
      return MASKERADE_FAILED;
    }
  }

  static std::int32_t has_tensor(const maskerade_host*,
                                 const char* file,
                                 const char* name) noexcept {
    try {
      const auto names = tensor_names(file);
      return std::find(names.begin(), names.end(), name) != names.end() ? 1 : 0;
    } catch (const std::exception&) {
      return 0;
    }
  }

  // Calls number(field) with the random numbers of that purpose. Fails when the masker does not
  // declare that it depends on the seed; the host remembers it.
  template <typename Number>
  static std::int32_t random(const maskerade_host* host, std::uint32_t purpose, Number&& number) {
    const MaskerIdentity& identity = host_of(host).identity_;
    if ((identity.depends_on & MASKERADE_DEPENDS_SEED) == 0) {
      host_of(host).has_refused_random_numbers_ = true;
      return MASKERADE_FAILED;
    }
    number(RandomField({.seed = identity.seed,
                        .stream = identity.place,
                        .layer = static_cast<std::uint32_t>(identity.layer),
                        .batch = kForAll,
                        .head = kForAll,
                        .purpose = purpose}));
    return MASKERADE_OK;
  }

  // Calls turn(rope) where positions can be applied to vectors of that many components.
  template <typename Turn>
  static std::int32_t with_rope(const maskerade_host* host, std::size_t dim, Turn&& turn) {
    const Rope* const rope = host_of(host).identity_.rope.get();
    if (rope == nullptr || 2 * rope->frequencies.size() > dim) return MASKERADE_FAILED;
    turn(*rope);
    return MASKERADE_OK;
  }
};

MaskerHost::MaskerHost(const MaskerIdentity& identity) : identity_(identity) {
  using Functions = MaskerHostFunctions;
  static_assert(
      std::is_same_v<
          std::variant_alternative_t<MASKERADE_TENSOR_FLOAT32, decltype(NumberTensor::values)>,
          std::vector<float>>);
  c_host_.struct_size = sizeof(c_host_);
  c_host_.self = this;
  c_host_.read_tensor = Functions::read_tensor;
  c_host_.has_tensor = Functions::has_tensor;
  c_host_.uniforms = [](const maskerade_host* host, std::uint32_t purpose, std::uint64_t first,
                        std::size_t count, double* numbers) {
    return Functions::random(host, purpose, [&](const RandomField& field) {
      for (std::size_t i = 0; i < count; ++i) numbers[i] = field.uniform(first + i, 0);
    });
  };
  c_host_.normals = [](const maskerade_host* host, std::uint32_t purpose, std::uint64_t first,
                       std::size_t count, float* numbers) {
    return Functions::random(host, purpose, [&](const RandomField& field) {
      for (std::size_t i = 0; i < count; ++i) {
        numbers[i] = static_cast<float>(field.normal(first + i, 0));
      }
    });
  };
  c_host_.to_float = [](std::uint32_t dtype, const void* source, std::size_t count, float* target) {
    convert_to_float(static_cast<DType>(dtype), source, count, target);
  };
  c_host_.multiply_rows = multiply_rows;
  c_host_.depends_on = identity.depends_on;
  if (identity.rope != nullptr) {
    c_rope_ = {.struct_size = sizeof(c_rope_),
               .pairs = identity.rope->pairs == Rope::Pairs::kHalves
                            ? std::uint32_t{MASKERADE_ROPE_HALVES}
                            : std::uint32_t{MASKERADE_ROPE_NEIGHBOURS},
               .frequencies = identity.rope->frequencies.data(),
               .pair_count = identity.rope->frequencies.size(),
               .scale = identity.rope->scale};
    c_host_.rope = &c_rope_;
  }
  c_host_.rotate = [](const maskerade_host* host, float* vectors, std::size_t count,
                      std::size_t dim, const std::int64_t* positions) {
    return Functions::with_rope(host, dim, [&](const Rope& rope) {
      rope.turn({vectors, count * dim}, dim, {positions, count});
    });
  };
  c_host_.unrotate = [](const maskerade_host* host, float* vectors, std::size_t count,
                        std::size_t dim, const std::int64_t* positions) {
    return Functions::with_rope(host, dim, [&](const Rope& rope) {
      rope.turn_back({vectors, count * dim}, dim, {positions, count});
    });
  };
  c_host_.match_bits = [](const std::uint64_t* signature, const std::uint64_t* signatures,
                          std::size_t words, std::size_t count, float* matches) {
    match_bits({signature, words}, signatures, {matches, count});
  };
  c_host_.exponentials = [](const float* scores, std::size_t count, double scale, float top,
                            double* weights) {
    exponentials({scores, count}, scale, top, {weights, count});
  };
}

std::string MaskerHost::refusal() const {
  return has_refused_random_numbers_
             ? sdk::undeclared_text(MASKERADE_DEPENDS_SEED, identity_.depends_on,
                                    "asks the host for random numbers")
             : "";
}

const NumberTensor& MaskerHost::tensor(const std::string& file, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto key = std::pair(file, name);
  const auto found = tensors_.find(key);
  if (found != tensors_.end()) return found->second;
  return tensors_.emplace(key, read_number_tensor(file, name)).first->second;
}

}  // namespace maskerade
