#include "experiments/rules/random_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <string>

#include "framework/base/philox.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade::rules {
namespace {

constexpr std::array kAllKinds = {
    DataKind::kNormal,      DataKind::kTies,      DataKind::kEqualKeys,        DataKind::kHeavyKeys,
    DataKind::kLargeLogits, DataKind::kDenormals, DataKind::kCancellingValues,
};

std::vector<float> normal_numbers(std::size_t count, std::uint64_t seed) {
  std::mt19937 engine(static_cast<std::mt19937::result_type>(seed));
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = normal(engine);
  return numbers;
}

// stream: 0, 1 and 2 for q, k and v.
std::vector<float> numbers_of(DataKind kind,
                              std::size_t count,
                              std::uint64_t seed,
                              std::uint32_t stream) {
  if (kind != DataKind::kTies) return normal_numbers(count, seed + stream);
  const RandomField field({.seed = seed, .stream = stream});
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto word = field.bits(0, static_cast<std::uint32_t>(i));
    numbers[i] = static_cast<float>(static_cast<int>(word % 9) - 4) / 4.0F;
  }
  return numbers;
}

// Makes every second number a denormal of dtype, or 0.
void put_denormals(DType dtype, std::size_t count, float* numbers) {
  const float unit = dtype == DType::kFloat16 ? 0x1p-20F : 0x1p-130F;
  for (std::size_t i = 1; i < count; i += 2) {
    numbers[i] = std::trunc(std::clamp(numbers[i], -3.0F, 3.0F) * 4) * unit;
  }
}

void change_keys(const ProblemSpec& spec, float* k) {
  const AttentionShape& shape = spec.shape;
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto key_len = static_cast<std::size_t>(shape.key_len);
  const auto rows = static_cast<std::size_t>(shape.batch * shape.kv_heads) * key_len;
  if (spec.kind == DataKind::kEqualKeys) {
    const auto equal = static_cast<std::size_t>(spec.equal_keys);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t first = row - row % key_len % equal;
      std::copy_n(k + first * dim, dim, k + row * dim);
    }
  }
  if (spec.kind == DataKind::kHeavyKeys) {
    const std::vector<float> lengths = normal_numbers(rows, spec.seed + 3);
    for (std::size_t i = 0; i < rows * dim; ++i) {
      k[i] *= static_cast<float>(std::exp(spec.key_sigma * double{lengths[i / dim]}));
    }
  }
}

void change_values(DataKind kind, const AttentionShape& shape, float* v) {
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto key_len = static_cast<std::size_t>(shape.key_len);
  const auto count = static_cast<std::size_t>(shape.batch * shape.kv_heads) * key_len * dim;
  for (std::size_t i = 0; i < count; ++i) {
    if (kind == DataKind::kCancellingValues && i / dim % key_len % 2 == 1) v[i] = -v[i - dim];
  }
}

Tensor query_tensor(const ProblemSpec& spec) {
  const AttentionShape& shape = spec.shape;
  std::vector<float> numbers =
      numbers_of(spec.kind, static_cast<std::size_t>(shape.rows() * shape.head_dim), spec.seed, 0);
  if (spec.kind == DataKind::kLargeLogits) {
    for (float& number : numbers) number *= 40;
  }
  return Tensor::from_floats(spec.dtype, shape.batch, shape.query_heads, shape.query_len,
                             shape.head_dim, numbers.data());
}

Tensor key_side_tensor(const ProblemSpec& spec, bool is_value) {
  const AttentionShape& shape = spec.shape;
  const auto count =
      static_cast<std::size_t>(shape.batch * shape.kv_heads * shape.key_len * shape.head_dim);
  std::vector<float> numbers = numbers_of(spec.kind, count, spec.seed, is_value ? 2 : 1);
  if (spec.kind == DataKind::kDenormals) put_denormals(spec.dtype, count, numbers.data());
  if (is_value) {
    change_values(spec.kind, shape, numbers.data());
  } else {
    change_keys(spec, numbers.data());
  }
  return Tensor::from_floats(spec.dtype, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim,
                             numbers.data());
}

}  // namespace

std::span<const DataKind> all_data_kinds() noexcept { return kAllKinds; }

std::string_view name_of(DataKind kind) noexcept {
  switch (kind) {
    case DataKind::kNormal:
      return "normal";
    case DataKind::kTies:
      return "ties";
    case DataKind::kEqualKeys:
      return "equal_keys";
    case DataKind::kHeavyKeys:
      return "heavy_keys";
    case DataKind::kLargeLogits:
      return "large_logits";
    case DataKind::kDenormals:
      return "denormals";
    case DataKind::kCancellingValues:
      return "cancelling_values";
  }
  return "";
}

std::string to_string(const ProblemSpec& spec) {
  return fmt::format("{} {}{} {} seed {}{}", spec.shape.to_string(), maskerade::name_of(spec.dtype),
                     spec.causal ? " causal" : "", name_of(spec.kind), spec.seed,
                     spec.layer == 0 ? "" : fmt::format(" layer {}", spec.layer));
}

RandomProblem::RandomProblem(const ProblemSpec& spec)
    : q(query_tensor(spec)),
      k(key_side_tensor(spec, false)),
      v(key_side_tensor(spec, true)),
      inputs{.shape = spec.shape,
             .q = q.view(),
             .k = k.view(),
             .v = v.view(),
             .scale = 1 / std::sqrt(static_cast<float>(spec.shape.head_dim)),
             .visibility = spec.causal
                               ? Visibility::causal(spec.shape.query_len, spec.shape.key_len)
                               : Visibility::all(spec.shape.query_len, spec.shape.key_len),
             .layer = spec.layer} {}

Tensor normal_tensor(DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::int64_t length,
                     std::int64_t dim,
                     std::uint64_t seed) {
  const std::vector<float> numbers =
      normal_numbers(static_cast<std::size_t>(batch * heads * length * dim), seed);
  return Tensor::from_floats(dtype, batch, heads, length, dim, numbers.data());
}

std::vector<AttentionShape> edge_shapes(std::int64_t head_dim) {
  return {{1, 1, 1, 1, 1, head_dim},     {1, 2, 2, 1, 130, head_dim}, {2, 3, 1, 1, 130, head_dim},
          {2, 8, 2, 1, 203, head_dim},   {1, 3, 1, 5, 64, head_dim},  {2, 8, 1, 70, 203, head_dim},
          {1, 6, 2, 131, 131, head_dim}, {1, 8, 8, 3, 100, head_dim}};
}

ProblemSpec draw_problem(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  ProblemSpec spec;
  spec.shape.batch = pick({1, 2});
  spec.shape.kv_heads = pick({1, 2});
  spec.shape.query_heads = spec.shape.kv_heads * pick({1, 3, 4, 8});
  spec.shape.query_len = pick({1, 1, 2, 17, 64, 65, 131});
  spec.shape.key_len = pick({1, 5, 63, 64, 65, 200, 333, 517});
  spec.shape.head_dim = pick({8, 20, 32, 64, 80, 128});
  spec.dtype = static_cast<DType>(engine() % 3);
  spec.causal = spec.shape.query_len <= spec.shape.key_len && engine() % 2 == 0;
  spec.kind = kAllKinds[engine() % kAllKinds.size()];
  spec.seed = engine();
  return spec;
}

Mask random_mask(const Visibility& visibility,
                 MaskExtent extent,
                 const RandomMaskOptions& options,
                 unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform;
  const std::int64_t rows = extent.batch * extent.heads * visibility.query_len();
  const std::int64_t tiles = (visibility.key_len() + 63) / 64;
  std::vector<float> weights(static_cast<std::size_t>(rows * visibility.key_len()));
  std::vector<bool> full_tile(static_cast<std::size_t>(tiles));
  for (std::int64_t r = 0; r < rows; ++r) {
    if (r % 64 == 0) {
      for (std::size_t t = 0; t < full_tile.size(); ++t)
        full_tile[t] = uniform(engine) < options.tiles;
    }
    if (uniform(engine) < options.empty) continue;
    for (std::int64_t key = 0; key < visibility.key_len(); ++key) {
      float& weight = weights[static_cast<std::size_t>(r * visibility.key_len() + key)];
      if (full_tile[static_cast<std::size_t>(key / 64)]) {
        weight = 1;
      } else if (uniform(engine) < options.keys) {
        const bool below_one = options.sampled && uniform(engine) < 0.5;
        weight = below_one ? static_cast<float>(0.02 + 0.9 * uniform(engine)) : 1.0F;
      }
    }
  }
  return from_dense(visibility, extent, weights);
}

Visibility random_visibility(std::int64_t query_len,
                             std::int64_t key_len,
                             std::mt19937_64& engine) {
  const std::uint64_t form = engine() % 4;
  if (form == 0) return Visibility::all(query_len, key_len);
  if (form == 1 && query_len <= key_len) return Visibility::causal(query_len, key_len);
  std::vector<std::int64_t> positions(static_cast<std::size_t>(query_len));
  for (std::int64_t& position : positions) {
    position = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(key_len));
  }
  if (engine() % 2 == 0) std::sort(positions.begin(), positions.end());
  return Visibility::at_positions(positions, key_len, engine() % 4 != 0);
}

std::vector<float> random_weights(const Visibility& visibility,
                                  MaskExtent extent,
                                  MaskKind kind,
                                  std::mt19937_64& engine) {
  const std::int64_t key_len = visibility.key_len();
  const std::int64_t rows = extent.batch * extent.heads * visibility.query_len();
  std::vector<float> weights(static_cast<std::size_t>(rows * key_len));
  std::vector<int> modes(static_cast<std::size_t>((key_len + 63) / 64));
  for (std::int64_t row = 0; row < rows; ++row) {
    if (row % visibility.query_len() % 64 == 0) {
      for (int& mode : modes) mode = static_cast<int>(engine() % 5);
    }
    for (std::int64_t key = 0; key < visibility.end(row % visibility.query_len()); ++key) {
      const int mode = modes[static_cast<std::size_t>(key / 64)];
      float weight = 0.0F;
      if (mode == 1) weight = 1.0F;
      if (mode == 2) weight = engine() % 2 == 0 ? 1.0F : 0.0F;
      if (mode == 3) weight = engine() % 64 == 0 ? 1.0F : 0.0F;
      if (mode == 4) weight = engine() % 64 != 0 ? 1.0F : 0.0F;
      if (kind == MaskKind::kSampled && engine() % 16 == 0) {
        weight = static_cast<float>(engine() % 1023 + 1) / 1024.0F;
      }
      weights[static_cast<std::size_t>(row * key_len + key)] = weight;
    }
  }
  return weights;
}

}  // namespace maskerade::rules
