#include "attention/reference/row_masses.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/reference/row_masses.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kKeys = kTileKeys;

// products[j] = sum over i of q[i] * keys[i * kKeys + j] for j < kKeys. keys: [dim][kKeys].
void multiply_tile(const double* q, const double* keys, std::size_t dim, double* products) {
  const hn::CappedTag<double, 8> d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t j = 0; j < kKeys; j += 4 * lanes) {
    auto sum0 = hn::Zero(d);
    auto sum1 = hn::Zero(d);
    auto sum2 = hn::Zero(d);
    auto sum3 = hn::Zero(d);
    for (std::size_t i = 0; i < dim; ++i) {
      const auto factor = hn::Set(d, q[i]);
      const double* const row = keys + i * kKeys + j;
      sum0 = hn::MulAdd(factor, hn::LoadU(d, row), sum0);
      sum1 = hn::MulAdd(factor, hn::LoadU(d, row + lanes), sum1);
      sum2 = hn::MulAdd(factor, hn::LoadU(d, row + 2 * lanes), sum2);
      sum3 = hn::MulAdd(factor, hn::LoadU(d, row + 3 * lanes), sum3);
    }
    hn::StoreU(sum0, d, products + j);
    hn::StoreU(sum1, d, products + j + lanes);
    hn::StoreU(sum2, d, products + j + 2 * lanes);
    hn::StoreU(sum3, d, products + j + 3 * lanes);
  }
}

// Sum over j < count of exp(logits[j] - top). count: a multiple of 8; -infinity adds nothing.
double sum_of_exponentials(const double* logits, std::size_t count, double top) {
  const hn::CappedTag<double, 8> d;
  auto sum = hn::Zero(d);
  for (std::size_t j = 0; j < count; j += hn::Lanes(d)) {
    const auto below = hn::Sub(hn::LoadU(d, logits + j), hn::Set(d, top));
    // Highway's Exp takes finite numbers only; below -745 the result is 0 in float64 anyway.
    sum = hn::Add(sum, hn::Exp(d, hn::Max(below, hn::Set(d, -1000.0))));
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {
namespace {

HWY_EXPORT(multiply_tile);
HWY_EXPORT(sum_of_exponentials);

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kTile = kTileKeys;

// A sum of exponentials as its terms come: the largest exponent, and the sum relative to it.
struct Mass {
  double top = -kInfinity;
  double sum = 0;

  void raise(double logit) {
    if (logit <= top) return;
    sum *= std::exp(top - logit);
    top = logit;
  }
  void add(double logit) {
    raise(logit);
    sum += std::exp(logit - top);
  }
  double log() const { return sum > 0 ? top + std::log(sum) : -kInfinity; }
};

// The keys of one tile, widened.
class KeyTile {
 public:
  KeyTile(const TensorView& keys, std::int64_t dim)
      : keys_(keys), dim_(static_cast<std::size_t>(dim)), stored_(dim_), widened_(dim_ * kTile) {}

  // Loads keys [first, first + count) of a head; those beyond are 0.
  void load(std::int64_t batch, std::int64_t head, std::int64_t first, std::int64_t count) {
    std::fill(widened_.begin(), widened_.end(), 0.0);
    for (std::int64_t j = 0; j < count; ++j) {
      keys_.load_row(batch, head, first + j, stored_.data());
      for (std::size_t d = 0; d < dim_; ++d) {
        widened_[d * kTile + static_cast<std::size_t>(j)] = stored_[d];
      }
    }
  }
  const double* data() const { return widened_.data(); }

 private:
  TensorView keys_;
  std::size_t dim_;
  std::vector<float> stored_;
  std::vector<double> widened_;  // [dim][kTile]
};

// The masses of the rows of one tile row of one query head.
class TileRowMasses {
 public:
  TileRowMasses(const AttentionInputs& inputs, const Mask& mask, std::int64_t item)
      : inputs_(inputs),
        mask_(mask),
        batch_(item / mask.tile_row_count() / inputs.shape.query_heads),
        head_(item / mask.tile_row_count() % inputs.shape.query_heads),
        kv_head_(inputs.shape.kv_head_of(head_)),
        own_batch_(mask.extent_batch(batch_)),
        own_head_(mask.extent_head(head_, inputs.shape.query_heads)),
        view_(mask.tile_row(own_batch_, own_head_, item % mask.tile_row_count())),
        dim_(static_cast<std::size_t>(inputs.shape.head_dim)),
        keys_(inputs.k, inputs.shape.head_dim),
        stored_(dim_),
        queries_(static_cast<std::size_t>(view_.rows) * dim_),
        certain_(static_cast<std::size_t>(view_.rows)) {
    for (int i = 0; i < view_.rows; ++i) {
      inputs.q.load_row(batch_, head_, view_.first_query + i, stored_.data());
      std::copy(stored_.begin(), stored_.end(), query(i));
    }
  }

  void write(RowMasses& masses) {
    view_.for_each_tile(
        [&](std::int64_t tile, const std::uint64_t* words) { add_tile(tile, words); });
    for (int i = 0; i < view_.rows; ++i) {
      const Mass& certain = certain_[static_cast<std::size_t>(i)];
      Mass support = certain;
      Mass weighted = certain;
      const std::int64_t row = view_.first_query + i;
      const SampledEntries sampled = mask_.sampled(own_batch_, own_head_, row);
      for (std::size_t s = 0; s < sampled.keys.size(); ++s) {
        const double logit = logit_of(i, sampled.keys[s]);
        support.add(logit);
        weighted.add(logit - std::log(static_cast<double>(sampled.probabilities[s])));
      }
      const auto at = static_cast<std::size_t>(
          (batch_ * inputs_.shape.query_heads + head_) * inputs_.shape.query_len + row);
      masses.certain[at] = certain.log();
      masses.support[at] = support.log();
      masses.weighted[at] = weighted.log();
    }
  }

 private:
  double* query(int i) { return queries_.data() + static_cast<std::size_t>(i) * dim_; }

  double logit_of(int i, std::int64_t key) {
    inputs_.k.load_row(batch_, kv_head_, key, stored_.data());
    const double* const q = query(i);
    double sums[4] = {};  // four, so that no addition waits for the one before it
    for (std::size_t d = 0; d < dim_; ++d) sums[d % 4] += q[d] * stored_[d];
    return inputs_.scale * (sums[0] + sums[1] + sums[2] + sums[3]);
  }

  // words: of a partial tile; null for a full one.
  void add_tile(std::int64_t tile, const std::uint64_t* words) {
    const std::int64_t first = tile * kTileKeys;
    std::int64_t active = 0;
    std::uint64_t bits[kTileRows] = {};
    for (int i = 0; i < view_.rows; ++i) {
      const std::int64_t seen = mask_.visibility().end(view_.first_query + i) - first;
      const std::uint64_t visible = seen >= kTileKeys ? ~std::uint64_t{0}
                                    : seen <= 0       ? 0
                                                      : (std::uint64_t{1} << seen) - 1;
      bits[i] = words == nullptr ? visible : words[i];
      active += std::popcount(bits[i]);
    }
    // Rationale: widening a tile costs as much as about a hundred products of one query and one
    // key, and multiplying a query by the whole tile as much as about sixteen.
    if (active < 100 + 16 * view_.rows) return add_keys(first, bits);
    keys_.load(batch_, kv_head_, first, std::min(kTileKeys, inputs_.shape.key_len - first));
    for (int i = 0; i < view_.rows; ++i) {
      if (bits[i] != 0) add_whole_tile(i, bits[i]);
    }
  }
  void add_keys(std::int64_t first, const std::uint64_t* bits) {
    for (int i = 0; i < view_.rows; ++i) {
      for (std::uint64_t left = bits[i]; left != 0; left &= left - 1) {
        certain_[static_cast<std::size_t>(i)].add(logit_of(i, first + std::countr_zero(left)));
      }
    }
  }
  void add_whole_tile(int i, std::uint64_t bits) {
    double logits[kTile];
    HWY_DYNAMIC_DISPATCH(multiply_tile)(query(i), keys_.data(), dim_, logits);
    double top = -kInfinity;
    for (std::size_t j = 0; j < kTile; ++j) {
      logits[j] = ((bits >> j) & 1U) != 0 ? inputs_.scale * logits[j] : -kInfinity;
      top = std::max(top, logits[j]);
    }
    Mass& mass = certain_[static_cast<std::size_t>(i)];
    mass.raise(top);
    mass.sum += HWY_DYNAMIC_DISPATCH(sum_of_exponentials)(logits, kTile, mass.top);
  }

  const AttentionInputs& inputs_;
  const Mask& mask_;
  std::int64_t batch_;
  std::int64_t head_;
  std::int64_t kv_head_;
  std::int64_t own_batch_;  // of the mask
  std::int64_t own_head_;
  TileRowView view_;
  std::size_t dim_;
  KeyTile keys_;
  std::vector<float> stored_;    // [dim], of one query or key
  std::vector<double> queries_;  // [rows][dim]
  std::vector<Mass> certain_;    // [rows]
};

}  // namespace

RowMasses row_masses(const AttentionInputs& inputs, const Mask& mask, const Threads& threads) {
  const AttentionShape& shape = inputs.shape;
  const auto rows = static_cast<std::size_t>(shape.rows());
  RowMasses masses{std::vector<double>(rows), std::vector<double>(rows), std::vector<double>(rows)};
  threads.for_each(
      shape.batch * shape.query_heads * mask.tile_row_count(),
      [&](std::int64_t item, int) { TileRowMasses(inputs, mask, item).write(masses); });
  return masses;
}

}  // namespace maskerade
#endif  // HWY_ONCE
